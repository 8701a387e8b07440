//! Splits a line of any notation into tokens: words, quoted text and punctuation.

use std::{borrow::Cow, ops::Range};

/// The longest template placeholder that is recognised, in bytes.
const MAX_TEMPLATE: usize = 200;

const CDATA: &str = "<![CDATA[";

/// The longest YAML tag or anchor that is skipped, in characters. Shorter than any unnamed id.
const MAX_YAML_TAG_LEN: usize = 12;

/// A token and its byte range in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextToken<'a> {
    pub(super) kind: TokenKind<'a>,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind<'a> {
    /// Characters between white space and punctuation.
    Word(&'a str),
    /// Quoted text without its quotes and escapes.
    Text {
        content: Cow<'a, str>,
        /// Whether the line ends before the closing quote.
        is_open: bool,
    },
    /// `:`, `=`, `=>` and others between a name and its value.
    Separator,
    /// An opening bracket.
    Open(char),
    /// A closing bracket.
    Close(char),
    /// A comma or semicolon.
    Comma,
    /// `&`, `|`, `?`, `#`: the text after it is unrelated to the text before.
    Break,
    /// An HTML or XML tag, without its angle brackets.
    Tag(&'a str),
    /// A placeholder of a template or a shell: `{{ id }}`, `${id}`, `<% id %>`.
    Template,
}

impl TokenKind<'_> {
    /// Returns the text of a word or a quoted text.
    pub(super) fn content(&self) -> Option<&str> {
        if let Self::Word(word) = self {
            return Some(word);
        }
        if let Self::Text { content, .. } = self {
            return Some(content);
        }
        None
    }
}

/// A quotation mark with its level of escaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    mark: char,
    /// The number of backslashes before the opening and the closing mark.
    depth: usize,
}

/// Syntax without an end in the rest of a line, kept so that the end is searched only once.
#[derive(Debug, Default)]
struct Unclosed {
    quotes: Vec<Quote>,
    has_open_tag: bool,
}

pub(super) fn tokenize(line: &str) -> Vec<TextToken<'_>> {
    let mut tokens = Vec::new();
    let mut unclosed = Unclosed::default();
    let mut at = 0;
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let (kind, length) = next_token(rest, before, &mut unclosed);
        if let Some(kind) = kind {
            let span = at..at + length;
            tokens.push(TextToken { kind, span });
        }
        at += length.max(1);
    }
    tokens
}

/// Returns the token at the start of `rest`, if any, and the number of bytes to skip.
fn next_token<'a>(
    rest: &'a str,
    before: Option<char>,
    unclosed: &mut Unclosed,
) -> (Option<TokenKind<'a>>, usize) {
    let Some(c) = rest.chars().next() else {
        return (None, 0);
    };
    let one = |kind| (Some(kind), c.len_utf8());
    if let Some(length) = matches!(c, '{' | '$' | '#' | '%' | '<')
        .then(|| template(rest))
        .flatten()
    {
        return (Some(TokenKind::Template), length);
    }
    let length = prefix_len(rest, before);
    if length > 0 {
        return (None, length);
    }
    if let Some((kind, length)) = python_quotation(rest, before, unclosed) {
        return (Some(kind), length);
    }
    if rest.starts_with(CDATA) {
        return (None, CDATA.len());
    }
    // Includes assignments of shells, make and Ruby.
    let assignment = ["->", "?=", "+=", "||=", "??=", "|="]
        .into_iter()
        .find(|operator| rest.starts_with(operator));
    if let Some(operator) = assignment {
        return (Some(TokenKind::Separator), operator.len());
    }
    match c {
        '"' | '\'' | '`' | '\\' | '“' | '”' | '‘' | '’' | '«' | '»' => {
            quotation(rest, before, unclosed)
        }
        '=' | ':' | '：' | '＝' | '→' => {
            let length = rest
                .find(|c| !matches!(c, '=' | ':' | '>' | '：' | '＝' | '→'))
                .unwrap_or(rest.len());
            (Some(TokenKind::Separator), length)
        }
        '{' | '[' | '(' | '（' | '【' | '「' => one(TokenKind::Open(c)),
        '}' | ']' | ')' | '）' | '】' | '」' => one(TokenKind::Close(c)),
        ',' | ';' | '，' | '；' | '、' => one(TokenKind::Comma),
        '&' | '|' | '?' | '#' | '│' | '┃' | '║' | '？' | '。' => one(TokenKind::Break),
        '<' => tag(rest, unclosed).map_or_else(
            || (None, 1),
            |(tag, length)| (Some(TokenKind::Tag(tag)), length),
        ),
        c if is_in_word(c) => {
            let length = word_length(rest);
            (rest.get(..length).map(TokenKind::Word), length)
        }
        // White space and decoration: `*`, `!`, `…`.
        _ => (None, c.len_utf8()),
    }
}

/// Returns the length of a prefix without meaning: a YAML tag or anchor, the `W/` of a weak etag.
fn prefix_len(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("W/\"") {
        return 2;
    }
    let markers = rest.len() - rest.trim_start_matches(['!', '&']).len();
    if markers == 0 || !before.is_none_or(char::is_whitespace) {
        return 0;
    }
    let name = rest.get(markers..).unwrap_or_default();
    let mut word = name
        .char_indices()
        .take(MAX_YAML_TAG_LEN + 1)
        .skip_while(|(_, c)| is_in_word(*c) || *c == ':');
    match word.next() {
        Some((length, end)) if length > 0 && end.is_whitespace() => markers + length,
        _ => 0,
    }
}

/// Reads a Python string literal with a prefix: `b'…'`.
fn python_quotation<'a>(
    rest: &'a str,
    before: Option<char>,
    unclosed: &mut Unclosed,
) -> Option<(TokenKind<'a>, usize)> {
    if before.is_some_and(is_in_word) {
        return None;
    }
    let quoted = rest.strip_prefix(['b', 'B', 'u', 'U', 'r', 'R', 'f', 'F'])?;
    if !quoted.starts_with(['"', '\'']) {
        return None;
    }
    let (kind, length) = quotation(quoted, None, unclosed);
    Some((kind?, length + 1))
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '$' | '%' | '+')
}

fn word_length(rest: &str) -> usize {
    let mut end = 0;
    let mut previous = None;
    let mut characters = rest.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        // `don't`, and the arrow of `taskId->x`.
        let is_apostrophe = c == '\'' && next.is_some_and(char::is_alphabetic);
        let is_arrow = c == '-' && next == Some('>');
        if is_arrow
            || !(is_in_word(c) || (is_apostrophe && previous.is_some_and(char::is_alphanumeric)))
        {
            break;
        }
        end = at + c.len_utf8();
        previous = Some(c);
    }
    end
}

/// Returns the length of a template placeholder at the start of `rest`.
fn template(rest: &str) -> Option<usize> {
    let (open, close) = [
        ("{{", "}}"),
        ("${", "}"),
        ("#{", "}"),
        ("%{", "}"),
        ("<%", "%>"),
        ("$(", ")"),
        ("$[", "]"),
    ]
    .into_iter()
    .find(|(open, _)| rest.starts_with(open))?;
    let limit = rest.floor_char_boundary(MAX_TEMPLATE);
    let inner = rest.get(open.len()..limit)?;
    let end = inner.find(close)?;
    // Braces around data are not a template.
    let is_data = inner.get(..end)?.contains(['"', ',']) || inner.get(..end)?.contains(": ");
    (!is_data || !matches!(open, "{{" | "%{")).then_some(open.len() + end + close.len())
}

/// Returns a tag at the start of `rest`, and its length with both brackets.
fn tag<'a>(rest: &'a str, unclosed: &mut Unclosed) -> Option<(&'a str, usize)> {
    let inner = rest.strip_prefix('<')?;
    let is_tag = inner.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '!' | '?'));
    if !is_tag || unclosed.has_open_tag {
        return None;
    }
    let Some(end) = inner.find('>') else {
        unclosed.has_open_tag = true;
        return None;
    };
    let tag = inner.get(..end)?;
    // `<https://…>` is a link in Markdown and in chats.
    let is_link = tag.split(char::is_whitespace).next()?.contains("://");
    (!is_link).then_some((tag, end + 2))
}

/// Reads quoted text, or skips a mark that opens none.
fn quotation<'a>(
    rest: &'a str,
    before: Option<char>,
    unclosed: &mut Unclosed,
) -> (Option<TokenKind<'a>>, usize) {
    let depth = rest.len() - rest.trim_start_matches('\\').len();
    let quoted = rest.get(depth..).unwrap_or_default();
    let Some(mark) = quoted.chars().next().filter(|c| closing_mark(*c).is_some()) else {
        return (None, depth.max(1));
    };
    let start = depth + mark.len_utf8();
    let quote = Quote { mark, depth };
    // An apostrophe in a word, or a prime as in `5'`.
    if mark != '"' && depth == 0 && before.is_some_and(char::is_alphanumeric) {
        return (None, start);
    }
    if unclosed.quotes.contains(&quote) {
        return (None, start);
    }
    let inner = rest.get(start..).unwrap_or_default();
    if let Some((content, length)) = quote.close(inner) {
        let content = quote.unescape(content);
        return (
            Some(TokenKind::Text {
                content,
                is_open: false,
            }),
            start + length,
        );
    }
    if mark == '"' {
        let content = quote.unescape(inner);
        return (
            Some(TokenKind::Text {
                content,
                is_open: true,
            }),
            rest.len(),
        );
    }
    unclosed.quotes.push(quote);
    (None, start)
}

/// Returns the closing mark for an opening one.
const fn closing_mark(c: char) -> Option<char> {
    match c {
        '"' | '\'' | '`' | '”' => Some(c),
        '“' => Some('”'),
        '‘' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

impl Quote {
    /// The quotation mark of JSON, the only one whose text may span chunks.
    pub(super) const JSON: Self = Self {
        mark: '"',
        depth: 0,
    };

    /// Returns the quoted text, and its length with the closing mark.
    pub(super) fn close(self, inner: &str) -> Option<(&str, usize)> {
        let closing = closing_mark(self.mark)?;
        let mut backslashes = 0;
        for (at, c) in inner.char_indices() {
            if c == closing {
                let is_end = if self.depth == 0 {
                    backslashes % 2 == 0
                } else {
                    backslashes == self.depth
                };
                if is_end {
                    return Some((inner.get(..at - self.depth)?, at + c.len_utf8()));
                }
            }
            backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        }
        None
    }

    /// Resolves one level of JSON, C and shell escapes.
    pub(super) fn unescape(self, content: &str) -> Cow<'_, str> {
        if self.depth > 0 || !content.contains('\\') {
            return Cow::Borrowed(content);
        }
        let mut text = String::with_capacity(content.len());
        let mut rest = content;
        while let Some((before, after)) = rest.split_once('\\') {
            text.push_str(before);
            let Some(c) = after.chars().next() else {
                rest = "";
                break;
            };
            let code = |digits: Range<usize>| u32::from_str_radix(after.get(digits)?, 16).ok();
            let (unescaped, length) = match c {
                'n' | 'r' => (Some('\n'), 1),
                't' => (Some('\t'), 1),
                'u' if code(1..5).is_some() => (code(1..5).and_then(char::from_u32), 5),
                'x' if code(1..3).is_some() => (code(1..3).and_then(char::from_u32), 3),
                'e' => (Some('\u{1b}'), 1),
                c => (Some(c), c.len_utf8()),
            };
            // No id contains half of a surrogate pair.
            text.push(unescaped.unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = after.get(length..).unwrap_or_default();
        }
        text.push_str(rest);
        Cow::Owned(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let one = |token: &TextToken<'_>| match &token.kind {
            TokenKind::Word(word) => (*word).to_owned(),
            TokenKind::Text { content, is_open } => {
                format!("“{content}{}", if *is_open { "" } else { "”" })
            }
            TokenKind::Separator => ":".to_owned(),
            TokenKind::Open(c) | TokenKind::Close(c) => c.to_string(),
            TokenKind::Comma => ",".to_owned(),
            TokenKind::Break => "|".to_owned(),
            TokenKind::Tag(tag) => format!("<{tag}>"),
            TokenKind::Template => "T".to_owned(),
        };
        tokenize(line).iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_notation_gives_the_same_tokens() {
        for (line, tokens) in [
            (
                r#"{"taskId": "a1", "n": 2}"#,
                "{ “taskId” : “a1” , “n” : 2 }",
            ),
            (r#"{\"taskId\":\"a1\"}"#, "{ “taskId” : “a1” }"),
            (r#"{\\\"a\\\":\\\"b\\\"}"#, "{ “a” : “b” }"),
            (r#""{\"taskId\":\"a1\"}""#, "“{\"taskId\":\"a1\"}”"),
            (
                "task_id='a1', it's 5\" tall",
                "task_id : “a1” , it's 5 “ tall",
            ),
            (":task_id=>\"a1\"", ": task_id : “a1”"),
            ("taskId->a1", "taskId : a1"),
            (
                "record-info?taskId=a1&x=2#y",
                "record-info | taskId : a1 | x : 2 | y",
            ),
            ("**taskId:** `a1`…", "taskId : “a1”"),
            ("<taskId>a1</taskId>", "<taskId> a1 </taskId>"),
            ("taskId=${id} {{ $json.data }} <% x %>", "taskId : T T T"),
            ("{{\"a\": 1}}", "{ { “a” : 1 } }"),
            ("UUID('a1')", "UUID ( “a1” )"),
            (
                "-H 'Authorization: Bearer x'",
                "-H “Authorization: Bearer x”",
            ),
            ("任务ID：a1", "任务ID : a1"),
            ("\"open \\u0041\\n", "“open A\n"),
        ] {
            assert_eq!(shown(line), tokens, "{line}");
        }
    }
}
