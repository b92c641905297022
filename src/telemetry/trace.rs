//! The W3C trace context (`traceparent`) at the edges of a program.
//!
//! A program that exports no traces hands on what it was given, so that the ones before and after it still are one trace.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header, and the field in messages.
pub const TRACEPARENT: &str = "traceparent";
/// `00-` + 32 + `-` + 16 + `-` + 2: longer ones are of a later version of the specification, which may be cut here.
const LENGTH: usize = 55;

/// Makes the span a child of the one that the text names; one that is malformed names none.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent.and_then(checked) else { return };
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent)]);
    // An error means that nothing exports this span.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}

/// What is told to the next program: this span, or `given` where no spans are exported.
pub fn traceparent(span: &Span, given: Option<&str>) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT).or_else(|| given.and_then(checked))
}

/// What others send becomes a part of stored documents and messages: only what has the form does.
fn checked(text: &str) -> Option<String> {
    let text = text.trim().get(..LENGTH)?;
    let mut parts = text.split('-');
    // Of the ids none is zero.
    let fields = [(2, true), (32, false), (16, false), (2, true)];
    let good = fields.iter().all(|(length, may_be_zero)| {
        parts.next().is_some_and(|part| {
            part.len() == *length
                && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
                && (*may_be_zero || part.bytes().any(|byte| byte != b'0'))
        })
    });
    (good && !text.starts_with("ff")).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_given_is_handed_on_where_nothing_is_exported() {
        assert_eq!(traceparent(&Span::none(), Some(GOOD)).as_deref(), Some(GOOD));
        assert_eq!(traceparent(&Span::none(), None), None);
    }

    #[test]
    fn only_what_has_the_form_is_handed_on() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\n",
            "00-4bf92f3577b34da6a3ce929d0e0e47361-0f067aa0ba902b7-01",
            "0000000000000000000000000000000000000000000000000000000é",
        ] {
            assert_eq!(checked(bad), None, "{bad:?}");
        }
        assert_eq!(checked(&format!("{GOOD}-more")).as_deref(), Some(GOOD));
    }
}
