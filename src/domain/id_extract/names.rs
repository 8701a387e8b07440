//! Classifies the name before a value.

use std::{collections::HashSet, sync::OnceLock};

use NameClass::{Foreign, Neutral, Secret, Task};

/// The kind of value that a name announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum NameClass {
    /// A task id.
    Task,
    /// A key, token, cookie, password or signature.
    Secret,
    /// An id or checksum of something else: a request, trace, user, node, commit.
    Foreign,
    #[default]
    Neutral,
}

impl NameClass {
    /// Returns the class, or `other` if it is neutral.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Neutral { other } else { self }
    }

    /// Reports whether the name alone is a column header or the name of what is below it.
    pub(super) const fn is_heading(self) -> bool {
        matches!(self, Task | Secret)
    }
}

/// Words separated by white space; in lower case where `has` is used.
pub(super) struct WordList {
    text: &'static str,
    words: OnceLock<HashSet<&'static str>>,
}

impl WordList {
    pub(super) const fn new(text: &'static str) -> Self {
        Self {
            text,
            words: OnceLock::new(),
        }
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &'static str> {
        self.text.split_ascii_whitespace()
    }

    /// Reports whether the list contains a word, in any case.
    pub(super) fn has(&self, word: &str) -> bool {
        let words = self.words.get_or_init(|| self.words().collect());
        if word.contains(char::is_uppercase) {
            words.contains(word.to_lowercase().as_str())
        } else {
            words.contains(word)
        }
    }
}

/// Names of a task id, in lower case and without separators.
static TASK_NAMES: WordList =
    WordList::new("taskid taskids recordid recordids taskuuid taskidlist 任务id 任务编号 任務id");

/// Words before a task name that do not change its meaning: the service and its model families.
static TASK_PREFIXES: WordList = WordList::new(
    "kie kieai ai x data luma veo suno runway aleph market midjourney mj flux gpt4o 4o option last
     latest current video image audio music",
);

/// Words that make a task name the id of another task or of another service.
static FOREIGN_QUALIFIERS: WordList = WordList::new(
    "parent external original source previous prev old root master child sub related upstream
     downstream origin batch group celery asana jira clickup todo notion linear trello ecs
     airflow dag internal local ext depends reference",
);

/// Words that make a name the name of a secret.
static SECRET_WORDS: WordList = WordList::new(
    "key keys auth authorization authorisation bearer token tokens secret secrets password
     passwords passwd passphrase pwd pass cookie cookies credential credentials sid csrf xsrf
     signature sig hmac nonce salt jwt otp passwort kennwort schlüssel passe clé clave contraseña
     secreto senha chave chiave parola wachtwoord sleutel hasło klucz пароль ключ токен секрет 키
     암호",
);

/// Parts of words that make a name the name of a secret.
static SECRET_PIECES: WordList = WordList::new(
    "apikey accesskey secretkey privatekey authkey token secret password passwd credential cookie
     authoriz authoris oauth bearer jsession phpsess sessionid signature schlüssel 密钥 密鑰 令牌 密码 密碼
     口令 キー パスワード トークン 비밀번호 토큰",
);

/// Words in the names of other ids and of checksums.
static FOREIGN_WORDS: WordList = WordList::new(
    "request trace traceid traceparent tracestate span correlation transaction ray etag match sha
     sha1 sha256 md5 checksum digest hash crc commit revision rev fingerprint user session node
     webhook version workflow execution device instance container org boundary guid build
     requestid",
);

/// Words beside an id word that may mean a task.
static TASK_WORDS: WordList = WordList::new("task job record generation result");

/// Fields whose value is a name, as in `{"name": "taskId", "value": "…"}`.
static NAME_SLOTS: WordList = WordList::new(
    "name key field header param parameter variable var property attribute k label id option",
);

/// Fields beside them that have the value.
static VALUE_SLOTS: WordList = WordList::new(
    "value val v values content text string stringvalue data default plaintext example s n",
);

/// Command-line options that take a credential: `curl -u`, `curl -b`, `http -a`.
static CREDENTIAL_OPTIONS: WordList = WordList::new("-u -b -a --user --proxy-user --oauth2-bearer");

/// Authorization schemes, which stand before a credential.
static AUTH_SCHEMES: WordList = WordList::new("bearer basic token digest apikey key negotiate");

/// Words that mean an id of any kind.
static ID_WORDS: WordList = WordList::new("id ids uuid guid");

/// Words between a name and its value in a sentence.
static FILLER_WORDS: WordList = WordList::new(
    "is was are the a an no nr number named called my your equals new of where with and by",
);

/// Words that precede a task id in a sentence.
static TASK_VERBS: WordList = WordList::new(
    "task tasks created submitted started queued generating generated adding added polling
     watching 任务",
);

/// Splits a name into lower-case words, at punctuation and at capitals.
fn split_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = ' ';
    let mut characters = name.chars().peekable();
    while let Some(c) = characters.next() {
        if c.is_alphanumeric() {
            let is_capital = c.is_uppercase()
                && (!previous.is_uppercase()
                    || characters.peek().is_some_and(|next| next.is_lowercase()));
            if is_capital || !previous.is_alphanumeric() {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        previous = c;
    }
    words
}

/// Classifies a name before a separator such as `:` or `=`, or in a column header.
pub(super) fn classify(name: &str) -> NameClass {
    // Longer text is a sentence. The shortest name is `sid`.
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    let is_short = name.is_ascii() && letters.take(3).count() < 3;
    if name.len() > 80 || (is_short && !name.starts_with('-')) {
        return Neutral;
    }
    let words = split_words(name);
    let joined = words.concat();
    // Also the joined words, because `ETag` is split.
    let has = |list: &WordList| list.has(&joined) || words.iter().any(|word| list.has(word));
    if CREDENTIAL_OPTIONS.has(name)
        || has(&SECRET_WORDS)
        || SECRET_PIECES.words().any(|piece| joined.contains(piece))
        || joined.ends_with("key")
    {
        return Secret;
    }
    let numberless = joined.trim_end_matches(|c: char| c.is_ascii_digit());
    let qualifiers: Vec<_> = TASK_NAMES
        .words()
        .filter_map(|task| numberless.strip_suffix(task))
        .collect();
    let is_task = |qualifier: &&str| qualifier.is_empty() || TASK_PREFIXES.has(qualifier);
    if qualifiers.iter().any(is_task) {
        return Task;
    }
    let first = words.first().filter(|_| !qualifiers.is_empty());
    let is_other_task = qualifiers
        .into_iter()
        .chain(first.map(String::as_str))
        .any(|qualifier| FOREIGN_QUALIFIERS.has(qualifier));
    let is_other_id =
        words.len() > 1 && words.last().is_some_and(|last| ID_WORDS.has(last)) && !has(&TASK_WORDS);
    if is_other_task || is_other_id || has(&FOREIGN_WORDS) {
        return Foreign;
    }
    Neutral
}

/// Classifies the words before a separator or a value. The last few are the name: "the Task ID",
/// "external task id".
pub(super) fn classify_words(words: &[&str]) -> NameClass {
    let Some((last, before)) = words.split_last() else {
        return Neutral;
    };
    let alone = classify(last);
    let Some((previous, before)) = before.split_last() else {
        return alone;
    };
    match (alone, classify(&format!("{previous} {last}"))) {
        (Secret, _) | (_, Secret) => Secret,
        (_, Task) => {
            let qualifier = before.last().map(|word| split_words(word).concat());
            if qualifier.is_some_and(|word| FOREIGN_QUALIFIERS.has(&word)) {
                Foreign
            } else {
                Task
            }
        }
        (Task, Foreign) => Foreign,
        (Neutral, Foreign) if is_id_word(last) && !FILLER_WORDS.has(previous) => Foreign,
        _ => alone,
    }
}

/// Reports whether a word means an id of any kind.
pub(super) fn is_id_word(word: &str) -> bool {
    ID_WORDS.has(word)
}

/// Classifies the words of a sentence before an id: "created 774d…", "Bearer 9c0d…", "my key is
/// 9c0d…".
pub(super) fn classify_sentence(words: &[&str]) -> NameClass {
    let mut near = words.iter().rev().take(3);
    if near.any(|word| SECRET_WORDS.has(word) || AUTH_SCHEMES.has(word))
        || words
            .last()
            .is_some_and(|last| CREDENTIAL_OPTIONS.has(last))
    {
        return Secret;
    }
    let mut named = words;
    while let Some((last, before)) = named.split_last()
        && FILLER_WORDS.has(last)
    {
        named = before;
    }
    let Some((last, before)) = named.split_last() else {
        return Neutral;
    };
    let class = classify_words(named);
    // "Die Task-ID lautet 774d…": the verb may be in any language.
    let is_task = TASK_VERBS.has(last) || classify_words(before) == Task;
    if class == Neutral && is_task {
        return Task;
    }
    class
}

/// Reports whether the words before a separator mention a secret and no task: "the key for kie:".
pub(super) fn mentions_secret(words: &[&str]) -> bool {
    let has = |list: &WordList| words.iter().any(|word| list.has(word));
    has(&SECRET_WORDS) && !has(&TASK_VERBS)
}

/// Reports whether a field has a name as its value.
pub(super) fn is_name_slot(name: &str) -> bool {
    NAME_SLOTS.has(&split_words(name).concat())
}

/// Reports whether a field has the value for the name beside it.
pub(super) fn is_value_slot(name: &str) -> bool {
    VALUE_SLOTS.has(&split_words(name).concat())
}

/// Reports whether a text is just a name that classifies its value, such as a column header.
pub(super) fn is_decisive_name(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_digit() || "=:/?,\"'".contains(c))
        && text.split_whitespace().count() <= 3
        && classify(text) != Neutral
}

/// Reports whether a header has only credentials up to the end of its line.
pub(super) fn is_credential_header(name: &str) -> bool {
    let joined = split_words(name).concat();
    let mut headers = ["authorization", "authorisation", "cookie"].iter();
    headers.any(|header| joined.ends_with(header))
}

/// Reports whether a word is an authorization scheme or a filler word before a credential.
pub(super) fn precedes_secret(word: &str) -> bool {
    AUTH_SCHEMES.has(word) || FILLER_WORDS.has(word)
}

/// Reports whether the last words of a text name a secret.
pub(super) fn ends_with_secret_name(before: &str) -> bool {
    before
        .rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')))
        .filter(|word| !word.is_empty())
        .find_map(|word| {
            let is_secret = classify(word) == Secret;
            (is_secret || !precedes_secret(word)).then_some(is_secret)
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_a_whole() {
        for (class, names) in [
            (
                NameClass::Task,
                "taskId task_id task-id TaskID TASK_ID Task\u{a0}Id taskIds task.id recordId record_id kieTaskId X-Task-Id \
                 data-task-id --task-id luma_task_id 任务ID",
            ),
            (
                NameClass::Secret,
                "Authorization authorization api_key apiKey KIE_API_KEY x-api-key X-API-Key token accessToken id_token \
                 taskToken Cookie set-cookie JSESSIONID password client_secret signature x-amz-signature bearer auth oauth \
                 ssh-key accesstoken sessionid -u --oauth2-bearer csrf-token",
            ),
            (
                NameClass::Foreign,
                "parentTaskId external_task_id original-task-id request_id X-Request-Id traceId traceparent etag ETag \
                 If-None-Match webhookId versionId userId cf-ray sha256 commit instanceId correlation_id _postman_id",
            ),
            (
                NameClass::Neutral,
                "id uuid status task tasks url model newTaskId jobId job_id successFlag prompt created_at subtask",
            ),
        ] {
            for name in names.split(' ') {
                assert_eq!(classify(name), class, "{name}");
            }
        }
    }

    #[test]
    fn the_name_is_the_words_before_the_separator() {
        for (words, class) in [
            ("Task ID", NameClass::Task),
            ("the Luma task id", NameClass::Task),
            ("Parent Task ID", NameClass::Foreign),
            ("external task_id", NameClass::Foreign),
            ("Record ID", NameClass::Task),
            ("API key", NameClass::Secret),
            ("Request ID", NameClass::Foreign),
            ("user id", NameClass::Foreign),
            ("status", NameClass::Neutral),
        ] {
            let words: Vec<_> = words.split(' ').collect();
            assert_eq!(classify_words(&words), class, "{words:?}");
        }
    }

    #[test]
    fn sentences_name_their_ids() {
        for (words, class) in [
            ("created", NameClass::Task),
            ("the Task ID is", NameClass::Task),
            ("polling task", NameClass::Task),
            ("Bearer", NameClass::Secret),
            ("my key is", NameClass::Secret),
            ("the new token", NameClass::Secret),
            ("commit", NameClass::Foreign),
            ("hello there", NameClass::Neutral),
        ] {
            let words: Vec<_> = words.split(' ').collect();
            assert_eq!(classify_sentence(&words), class, "{words:?}");
        }
    }
}
