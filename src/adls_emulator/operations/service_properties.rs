//! Get and Set Blob Service Properties.
//!
//! A set replaces the sections that it names and leaves the others. Of all of them only `DeleteRetentionPolicy` acts here;
//! the rest is told again, as there is nothing to log, to measure, or to serve to browsers.

use actix_web::{HttpResponse, web};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::{Context, read_text};
use crate::index::{self, ServiceProperties, Writing};
use crate::service_error::ServiceError;

const MAX_BODY_BYTES: usize = 64 * 1024;
const ROOT: &str = "StorageServiceProperties";
const RETENTION: &str = "DeleteRetentionPolicy";

/// Each section as it is when nobody has set it, in the order of the documentation.
const DEFAULTS: [(&str, &str); 7] = [
    (
        "Logging",
        "<Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>\
         <RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>",
    ),
    (
        "HourMetrics",
        "<HourMetrics><Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled>\
         </RetentionPolicy></HourMetrics>",
    ),
    (
        "MinuteMetrics",
        "<MinuteMetrics><Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled>\
         </RetentionPolicy></MinuteMetrics>",
    ),
    ("Cors", "<Cors />"),
    ("DefaultServiceVersion", ""),
    (RETENTION, ""),
    ("StaticWebsite", "<StaticWebsite><Enabled>false</Enabled></StaticWebsite>"),
];

struct Section {
    name: String,
    xml: String,
}

struct Asked {
    sections: Vec<Section>,
    retention_days: Option<u32>,
}

pub(super) async fn get(context: &Context) -> Result<HttpResponse, ServiceError> {
    let account = context.account.name.clone();
    let read = move |connection: &_| index::service_properties(connection, &account);
    let properties = context.service.index.read(read).await?;
    let mut xml = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><{ROOT}>");
    for (name, default) in DEFAULTS {
        match (name, properties.delete_retention_days) {
            (RETENTION, 0) => {
                xml.push_str("<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>");
            }
            (RETENTION, days) => xml.push_str(&format!(
                "<DeleteRetentionPolicy><Enabled>true</Enabled><Days>{days}</Days></DeleteRetentionPolicy>"
            )),
            _ => xml.push_str(find(&properties, name).map_or(default, String::as_str)),
        }
    }
    xml.push_str(&format!("</{ROOT}>"));
    Ok(HttpResponse::Ok().content_type("application/xml").body(xml))
}

fn find<'a>(properties: &'a ServiceProperties, name: &str) -> Option<&'a String> {
    properties.sections.iter().find(|section| is_section(section, name))
}

fn is_section(xml: &str, name: &str) -> bool {
    let rest = xml.strip_prefix('<').and_then(|rest| rest.strip_prefix(name));
    rest.is_some_and(|rest| rest.starts_with(['>', ' ', '/']))
}

pub(super) async fn set(context: &Context, payload: &mut web::Payload) -> Result<HttpResponse, ServiceError> {
    let asked = parse(&read_text(payload, MAX_BODY_BYTES).await?)?;
    let account = context.account.name.clone();
    let set = move |writing: &mut Writing<'_>| {
        let mut properties = index::service_properties(writing.connection, &account)?;
        for Section { name, xml } in asked.sections {
            properties.sections.retain(|section| !is_section(section, &name));
            properties.sections.push(xml);
        }
        if let Some(days) = asked.retention_days {
            properties.delete_retention_days = days;
        }
        index::save_service_properties(writing, &account, &properties)
    };
    context.service.index.write(set).await?;
    Ok(HttpResponse::Accepted().finish())
}

fn parse(xml: &str) -> Result<Asked, ServiceError> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<String> = Vec::new();
    let mut asked = Asked { sections: Vec::new(), retention_days: None };
    let (mut rooted, mut section_from, mut enabled, mut days) = (false, 0, None, None);
    loop {
        let before = position(&reader)?;
        match reader.read_event().map_err(|_| ServiceError::invalid_xml())? {
            Event::Start(element) => {
                match open.len() {
                    0 if element.name().as_ref() == ROOT => rooted = true,
                    0 => return Err(ServiceError::invalid_xml()),
                    1 => section_from = before,
                    _ => {}
                }
                open.push(element.name().as_ref().to_owned());
            }
            Event::Empty(element) if open.len() == 1 => {
                let name = element.name().as_ref().to_owned();
                asked.add(name, xml.get(before..position(&reader)?))?;
            }
            Event::End(_) => {
                let name = open.pop().ok_or_else(ServiceError::invalid_xml)?;
                if open.len() == 1 {
                    asked.add(name, xml.get(section_from..position(&reader)?))?;
                }
            }
            Event::Text(text) if open.get(1).is_some_and(|name| name == RETENTION) => {
                match (open.len(), open.last().map(String::as_str)) {
                    (3, Some("Enabled")) => enabled = Some(text.trim() == "true"),
                    (3, Some("Days")) => days = Some(text.trim().to_owned()),
                    _ => {}
                }
            }
            Event::Eof if open.is_empty() && rooted => break,
            Event::Eof => return Err(ServiceError::invalid_xml()),
            _ => {}
        }
    }
    asked.retention_days = match (enabled, days) {
        (None, _) => None,
        (Some(false), _) => Some(0),
        (Some(true), days) => {
            let days = days.and_then(|days| days.parse::<u32>().ok()).filter(|days| (1..=365).contains(days));
            Some(days.ok_or_else(ServiceError::invalid_xml_node_value)?)
        }
    };
    Ok(asked)
}

fn position<R>(reader: &Reader<R>) -> Result<usize, ServiceError> {
    usize::try_from(reader.buffer_position()).map_err(|_| ServiceError::invalid_xml())
}

impl Asked {
    fn add(&mut self, name: String, xml: Option<&str>) -> Result<(), ServiceError> {
        if !DEFAULTS.iter().any(|(known, _)| *known == name) {
            return Err(ServiceError::invalid_xml_node_value());
        }
        let xml = xml.ok_or_else(ServiceError::invalid_xml)?.to_owned();
        // This one is kept as what it means.
        if name != RETENTION {
            self.sections.push(Section { name, xml });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_cut_out_whole() {
        let cors = "<Cors><CorsRule><AllowedOrigins>*</AllowedOrigins></CorsRule></Cors>";
        let xml = format!(
            "<?xml version=\"1.0\"?>\n<{ROOT}> {cors}\n<StaticWebsite /><DeleteRetentionPolicy><Enabled>true</Enabled>\
             <Days>5</Days></DeleteRetentionPolicy></{ROOT}>"
        );
        let asked = parse(&xml).unwrap();
        let sections: Vec<&str> = asked.sections.iter().map(|section| section.xml.as_str()).collect();
        assert_eq!(sections, [cors, "<StaticWebsite />"]);
        assert_eq!(asked.retention_days, Some(5));
    }

    #[test]
    fn bad_documents_are_refused() {
        let retention =
            |inner: &str| format!("<{ROOT}><DeleteRetentionPolicy>{inner}</DeleteRetentionPolicy></{ROOT}>");
        for xml in [
            format!("<{ROOT}>"),
            format!("<{ROOT}><Unknown /></{ROOT}>"),
            retention("<Enabled>true</Enabled>"),
            retention("<Enabled>true</Enabled><Days>0</Days>"),
            retention("<Enabled>true</Enabled><Days>366</Days>"),
        ] {
            assert!(parse(&xml).is_err(), "{xml}");
        }
        assert_eq!(parse(&retention("<Enabled>false</Enabled>")).unwrap().retention_days, Some(0));
    }
}
