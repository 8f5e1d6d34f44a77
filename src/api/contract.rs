//! What the contract in OpenAPI 3.1 says beside the handlers: what it is, and what every route may
//! answer.
//!
//! Invariant: what a route takes and answers is written at its handler, and every route comes into
//! the router together with that (`routes`), so that the document has them all.

use std::collections::BTreeMap;

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{OpenApi as Contract, Ref, RefOr};
use utoipa::{IntoResponses, OpenApi as _, ToSchema};

use super::wire::Problem;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Sealift",
        description = "What the daemon shows and what people do with it. Under `/v1` nothing is ever taken away: a field is only added, and \
                       readers pass over what they do not know.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem))
)]
struct ContractBase;

/// The document before any route.
pub(super) fn base() -> Contract {
    ContractBase::openapi()
}

/// What every route may answer instead of a success.
pub(super) struct RefusedAnswers;

impl IntoResponses for RefusedAnswers {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refusal = |what: &str| {
            let problem =
                ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            ResponseBuilder::new()
                .description(what)
                .content("application/problem+json", problem)
                .build()
                .into()
        };
        BTreeMap::from([
            ("4XX".to_owned(), refusal("Refused: what, where and the next step")),
            ("5XX".to_owned(), refusal("Not possible now")),
        ])
    }
}

/// The parts of an upload, as the contract tells them; they are read one by one as they arrive.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct PlanUpload {
    /// The plan, named by its file.
    #[schema(value_type = String, format = Binary)]
    plan: Vec<u8>,
    /// Each target file, named by its path relative to the plan.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Vec<u8>>,
    /// The file of a discovery, for a plan with `targets.discover`.
    #[schema(value_type = Option<String>, format = Binary)]
    discovered: Option<Vec<u8>>,
}
