//! The query string. Names are compared without case, values are percent-decoded once, and `+` is a space, as Go's
//! clients write one (AzCopy).

use percent_encoding::percent_decode_str;

use crate::service_error::ServiceError;

pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(text: &str) -> Result<Self, ServiceError> {
        let decode = |part: &str| match percent_decode_str(&part.replace('+', " ")).decode_utf8() {
            Ok(decoded) => Ok(decoded.into_owned()),
            Err(_) => Err(ServiceError::invalid_uri("the query is not percent-encoded UTF-8")),
        };
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name)?.to_lowercase(), decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// `None` also for a value that is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found =
            self.pairs.iter().find(|(known, value)| known.eq_ignore_ascii_case(name) && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, ServiceError> {
        match self.get(name).map(str::to_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ServiceError::invalid_query(name, "expected true or false")),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ServiceError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| match text.parse::<i128>() {
                Ok(_) => ServiceError::query_out_of_range(),
                Err(_) => ServiceError::invalid_query(name, "expected a number"),
            })
        };
        self.get(name).map(parse).transpose()
    }

    /// Sorted by name, the values of one name sorted and joined by commas: the form that is signed.
    pub(crate) fn canonical(&self) -> Vec<(String, String)> {
        let mut sorted = self.pairs.clone();
        sorted.sort();
        let mut canonical: Vec<(String, String)> = Vec::new();
        for (name, value) in sorted {
            match canonical.last_mut() {
                Some((last, values)) if *last == name => {
                    values.push(',');
                    values.push_str(&value);
                }
                _ => canonical.push((name, value)),
            }
        }
        canonical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_unless_it_is_encoded() {
        let query = Query::parse("Prefix=with+space%2F&blockid=a%2Bb%3D").unwrap();
        assert_eq!((query.get("prefix"), query.get("blockid")), (Some("with space/"), Some("a+b=")));
    }
}
