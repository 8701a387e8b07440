//! Tasks written down for other programs: as JSON, and as the command that asks after them.

use std::time::Duration;

use serde_json::Value;

use super::json;
use crate::{
    adapters::kie::{ApiOrigin, address},
    domain::{
        task::{Family, TaskId},
        watched::Watched,
    },
    ports::Scribe,
};

/// Writes tasks down as the headless commands do.
#[derive(Debug, Clone)]
pub struct TaskScribe {
    origin: ApiOrigin,
    retention: Duration,
}

impl TaskScribe {
    /// Returns a scribe for the API at that address, whose results live so long.
    pub const fn of(origin: ApiOrigin, retention: Duration) -> Self {
        Self { origin, retention }
    }
}

impl Scribe for TaskScribe {
    fn records(&self, tasks: &[Watched]) -> String {
        let record = |watched| json::record(watched, self.retention);
        match tasks {
            [one] => json::write(&record(one)),
            many => json::write(&Value::Array(many.iter().map(record).collect())),
        }
    }

    fn commands(&self, tasks: &[(TaskId, Family)]) -> String {
        let command = |(task, family): &(TaskId, Family)| {
            let address = address(&self.origin, task, *family);
            format!(
                "curl -sS -H \"Authorization: Bearer $KIE_API_KEY\" {}",
                quoted(&address)
            )
        };
        tasks.iter().map(command).collect::<Vec<_>>().join("\n")
    }
}

/// Puts a text between single quotes, in which a shell sees nothing but the closing one.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::Task;

    fn scribe() -> TaskScribe {
        TaskScribe::of(ApiOrigin::default(), Duration::from_hours(1))
    }

    #[test]
    fn a_command_names_the_key_and_never_holds_it() {
        let task = |id| (TaskId::parse(id).unwrap(), Family::LumaModify);

        let commands = scribe().commands(&[task("774d9a7d"), task("a'b$(id)&c")]);

        assert_eq!(
            commands,
            "curl -sS -H \"Authorization: Bearer $KIE_API_KEY\" \
             'https://api.kie.ai/api/v1/modify/record-info?taskId=774d9a7d'\n\
             curl -sS -H \"Authorization: Bearer $KIE_API_KEY\" \
             'https://api.kie.ai/api/v1/modify/record-info?taskId=a%27b%24%28id%29%26c'"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn one_task_is_an_object_and_several_are_an_array() {
        let watched = |id| {
            let task = Task::new(TaskId::parse(id).unwrap(), Family::LumaModify);
            Watched::new(task, None, jiff::Timestamp::UNIX_EPOCH)
        };
        let (one, other) = (watched("first-task"), watched("other-task"));

        let object = scribe().records(std::slice::from_ref(&one));
        let array = scribe().records(&[one, other]);

        assert!(object.starts_with("{\"taskId\":\"first-task\""), "{object}");
        assert!(
            array.starts_with("[{") && array.contains("other-task"),
            "{array}"
        );
    }
}
