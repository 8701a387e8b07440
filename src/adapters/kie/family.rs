//! The API of each task family. A new family is a decoder file and a line in [`family_api`].

use serde_json::Value;

use super::luma_modify;
use crate::domain::{
    api_origin::ApiOrigin,
    task::{Family, TaskDetails, TaskId, TaskState},
};

/// The API of one task family: path and record decoder.
#[derive(Debug, Clone, Copy)]
pub struct FamilyApi {
    /// The path of the status endpoint, which takes the query parameter `taskId`.
    pub path: &'static str,
    /// Decodes the record (the envelope's `data`). Pure; accepts any object.
    pub decode: fn(&Value) -> (TaskState, TaskDetails),
}

pub const fn family_api(family: Family) -> FamilyApi {
    match family {
        Family::LumaModify => FamilyApi {
            path: luma_modify::PATH,
            decode: luma_modify::decode,
        },
    }
}

/// Returns the URL for a task's status. It does not contain the key.
pub fn status_url(origin: &ApiOrigin, task: &TaskId, family: Family) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("taskId", task.as_str())
        .finish();
    format!("{origin}{}?{query}", family_api(family).path)
}
