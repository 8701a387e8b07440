//! Tasks for other programs: as JSON, as CSV, and as curl commands that check them.

pub mod csv;
pub mod json;

use std::time::Duration;

use serde_json::Value;

use super::kie::family::status_url;
use crate::{
    domain::{
        api_origin::ApiOrigin,
        task::{Family, TaskId},
        watched_task::WatchedTask,
    },
    ports::Exporter,
};

/// Formats tasks for the clipboard.
#[derive(Debug, Clone)]
pub struct TaskExporter {
    origin: ApiOrigin,
    retention: Duration,
}

impl TaskExporter {
    /// Creates an exporter for the API at `origin`, which keeps results for `retention`.
    pub const fn new(origin: ApiOrigin, retention: Duration) -> Self {
        Self { origin, retention }
    }
}

impl Exporter for TaskExporter {
    fn to_json(&self, tasks: &[WatchedTask]) -> String {
        let record = |watched| json::task_record(watched, self.retention);
        match tasks {
            [one] => json::to_safe_json(&record(one)),
            many => json::to_safe_json(&Value::Array(many.iter().map(record).collect())),
        }
    }

    fn to_curl(&self, tasks: &[(TaskId, Family)]) -> String {
        let command = |(task, family): &(TaskId, Family)| {
            let address = status_url(&self.origin, task, *family);
            format!(
                "curl -sS -H \"Authorization: Bearer $KIE_API_KEY\" {}",
                shell_quote(&address)
            )
        };
        tasks.iter().map(command).collect::<Vec<_>>().join("\n")
    }
}

/// Quotes a text for a POSIX shell. Between single quotes only the closing quote is special.
fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::Task;

    fn exporter() -> TaskExporter {
        TaskExporter::new(ApiOrigin::default(), Duration::from_hours(1))
    }

    #[test]
    fn exported_commands_never_contain_the_key() {
        let task = |id| (TaskId::parse(id).unwrap(), Family::LumaModify);

        let commands = exporter().to_curl(&[task("774d9a7d"), task("a'b$(id)&c")]);

        assert_eq!(
            commands,
            "curl -sS -H \"Authorization: Bearer $KIE_API_KEY\" \
             'https://api.kie.ai/api/v1/modify/record-info?taskId=774d9a7d'\n\
             curl -sS -H \"Authorization: Bearer $KIE_API_KEY\" \
             'https://api.kie.ai/api/v1/modify/record-info?taskId=a%27b%24%28id%29%26c'"
        );
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn one_task_is_an_object_and_several_are_an_array() {
        let watched = |id| {
            let task = Task::new(TaskId::parse(id).unwrap(), Family::LumaModify);
            WatchedTask::new(task, None, jiff::Timestamp::UNIX_EPOCH)
        };
        let (one, other) = (watched("first-task"), watched("other-task"));

        let object = exporter().to_json(std::slice::from_ref(&one));
        let array = exporter().to_json(&[one, other]);

        assert!(object.starts_with("{\"taskId\":\"first-task\""), "{object}");
        assert!(
            array.starts_with("[{") && array.contains("other-task"),
            "{array}"
        );
    }
}
