//! The admin endpoint's knobs and records: faults, limits, the clock, the request log, traffic. None of it outlives the process.
//!
//! | call | what |
//! |---|---|
//! | `GET /faults`, `DELETE /faults` | all rules with how often they struck; remove all |
//! | `GET`, `PUT`, `DELETE /faults/{id}` | one rule: `{"selector", "effect", "probability", "count", "seed"}`, see [`crate::faults`] |
//! | `GET`, `PUT`, `DELETE /accounts/{name}/limits` | `{"requestsPerSecond", "ingressBitsPerSecond", "egressBitsPerSecond"}` |
//! | `GET`, `PUT`, `DELETE /accounts/{name}/deletions` | `{"filesystemSeconds", "pathsPerRequest"}`, see [`crate::deletions`] |
//! | `GET`, `DELETE /accounts/{name}/traffic` | body bytes by the second and the most of any second; begin anew |
//! | `GET`, `PUT /clock` | `{"offsetMs"}`: how far the emulated service's clock is ahead of the machine's |
//! | `GET /requests?after=&account=&operation=&pathPrefix=&status=&limit=`, `DELETE /requests` | the last 10,000; forget them |

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{bad_request, no_such_call, parse, require};
use crate::clock;
use crate::deletions::DeletionKnobs;
use crate::faults::{Limits, RuleRequest};
use crate::request_log::Filter;
use crate::server::Service;
use crate::service_error::ServiceError;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockBody {
    offset_ms: i64,
}

pub(super) fn serve(
    request: &HttpRequest,
    segments: &[&str],
    body: &[u8],
    service: &Service,
) -> Result<HttpResponse, ServiceError> {
    let done = || Ok(HttpResponse::NoContent().finish());
    let json = |value: serde_json::Value| Ok(HttpResponse::Ok().json(value));
    match (request.method().as_str(), segments) {
        ("GET", ["faults"]) => json(serde_json::json!({ "rules": service.faults.all() })),
        ("DELETE", ["faults"]) => {
            service.faults.clear();
            done()
        }
        ("GET", ["faults", id]) => {
            let rule = service.faults.get(id).ok_or_else(|| no_rule(id))?;
            Ok(HttpResponse::Ok().json(rule))
        }
        ("PUT", ["faults", id]) => {
            let rule = parse::<RuleRequest>(body)?.into_rule().map_err(bad_request)?;
            service.faults.put(id, rule);
            Ok(HttpResponse::Ok().json(service.faults.get(id)))
        }
        ("DELETE", ["faults", id]) => {
            if service.faults.remove(id) {
                done()
            } else {
                Err(no_rule(id))
            }
        }
        ("GET", ["accounts", name, "limits"]) => {
            require(service, name)?;
            Ok(HttpResponse::Ok().json(service.faults.limits(name)))
        }
        ("PUT", ["accounts", name, "limits"]) => {
            require(service, name)?;
            let limits: Limits = parse(body)?;
            service.faults.set_limits(name, limits);
            Ok(HttpResponse::Ok().json(limits))
        }
        ("DELETE", ["accounts", name, "limits"]) => {
            require(service, name)?;
            service.faults.set_limits(name, Limits::default());
            done()
        }
        ("GET", ["accounts", name, "deletions"]) => {
            require(service, name)?;
            Ok(HttpResponse::Ok().json(service.deletions.knobs(name)))
        }
        ("PUT", ["accounts", name, "deletions"]) => {
            require(service, name)?;
            let knobs: DeletionKnobs = parse(body)?;
            service.deletions.set(name, knobs);
            Ok(HttpResponse::Ok().json(knobs))
        }
        ("DELETE", ["accounts", name, "deletions"]) => {
            require(service, name)?;
            service.deletions.forget(name);
            done()
        }
        ("GET", ["accounts", name, "traffic"]) => {
            require(service, name)?;
            Ok(HttpResponse::Ok().json(service.counters.of(name).traffic()))
        }
        ("DELETE", ["accounts", name, "traffic"]) => {
            require(service, name)?;
            service.counters.of(name).forget_traffic();
            done()
        }
        ("GET", ["clock"]) => Ok(HttpResponse::Ok().json(ClockBody { offset_ms: clock::offset_ms() })),
        ("PUT", ["clock"]) => {
            let wanted: ClockBody = parse(body)?;
            clock::set_offset_ms(wanted.offset_ms);
            // Files may have expired.
            service.garbage.notify_one();
            Ok(HttpResponse::Ok().json(wanted))
        }
        ("GET", ["requests"]) => {
            let filter = web::Query::<Filter>::from_query(request.query_string())
                .map_err(|error| bad_request(format!("the query is not what is expected: {error}")))?;
            Ok(HttpResponse::Ok().json(service.requests.read(&filter)))
        }
        ("DELETE", ["requests"]) => {
            service.requests.clear();
            done()
        }
        _ => Err(no_such_call(request)),
    }
}

fn no_rule(id: &str) -> ServiceError {
    let message = format!("There is no fault rule '{id}'; GET /faults lists them.");
    ServiceError::new(StatusCode::NOT_FOUND, "NotFound", message)
}
