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
        if let Self::Text { content, .. } = self {
            return Some(content);
        }
        if let Self::Word(word) = self {
            Some(word)
        } else {
            None
        }
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
    if let Some(length) = template(rest) {
        return (Some(TokenKind::Template), length);
    }
    let length = prefix_len(rest, before);
    if length > 0 {
        return (None, length);
    }
    // Includes assignments of shells, make and Ruby.
    let mut operators = ["->", "?=", "+=", "||=", "??=", "|="].into_iter();
    if let Some(operator) = operators.find(|operator| rest.starts_with(operator)) {
        return (Some(TokenKind::Separator), operator.len());
    }
    match c {
        '"' | '\'' | '`' | '\\' | '“' | '”' | '‘' | '’' | '«' | '»' => {
            quotation(rest, before, unclosed)
        }
        // A Python string literal: `b'…'`.
        'b' | 'B' | 'u' | 'U' | 'r' | 'R' | 'f' | 'F'
            if rest
                .get(1..)
                .is_some_and(|rest| rest.starts_with(['"', '\'']))
                && !before.is_some_and(is_in_word) =>
        {
            let (kind, length) = quotation(rest.get(1..).unwrap_or_default(), None, unclosed);
            (kind, length + 1)
        }
        '=' | ':' | '：' | '＝' | '→' => {
            let is_part = |c| matches!(c, '=' | ':' | '>' | '：' | '＝' | '→');
            let length = rest.len() - rest.trim_start_matches(is_part).len();
            (Some(TokenKind::Separator), length)
        }
        '{' | '[' | '(' | '（' | '【' | '「' => one(TokenKind::Open(c)),
        '}' | ']' | ')' | '）' | '】' | '」' => one(TokenKind::Close(c)),
        ',' | ';' | '，' | '；' | '、' => one(TokenKind::Comma),
        '&' | '|' | '?' | '#' | '│' | '┃' | '║' | '？' | '。' => one(TokenKind::Break),
        '<' => match tag(rest, unclosed) {
            Some(tag) => (Some(TokenKind::Tag(tag)), tag.len() + 2),
            None => (None, 1),
        },
        c if is_in_word(c) => {
            let length = word_length(rest);
            (rest.get(..length).map(TokenKind::Word), length)
        }
        // White space and decoration: `*`, `!`, `…`.
        _ => (None, c.len_utf8()),
    }
}

/// Returns the length of a prefix without meaning: a YAML tag or anchor, the `W/` of a weak etag,
/// the start of character data in XML.
fn prefix_len(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("W/\"") {
        return 2;
    }
    if rest.starts_with(CDATA) {
        return CDATA.len();
    }
    let name = rest.trim_start_matches(['!', '&']);
    let markers = rest.len() - name.len();
    if markers == 0 || !before.is_none_or(char::is_whitespace) {
        return 0;
    }
    let mut word = name
        .char_indices()
        .take(MAX_YAML_TAG_LEN + 1)
        .skip_while(|(_, c)| is_in_word(*c) || *c == ':');
    match word.next() {
        Some((length, end)) if length > 0 && end.is_whitespace() => markers + length,
        _ => 0,
    }
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '$' | '%' | '+')
}

fn word_length(rest: &str) -> usize {
    let mut previous = ' ';
    let next = rest.chars().skip(1).chain([' ']);
    let end = rest.char_indices().zip(next).find(|((_, c), next)| {
        // `don't`, and the arrow of `taskId->x`.
        let is_apostrophe = *c == '\'' && previous.is_alphanumeric() && next.is_alphabetic();
        let is_arrow = *c == '-' && *next == '>';
        previous = *c;
        is_arrow || !(is_in_word(*c) || is_apostrophe)
    });
    end.map_or(rest.len(), |((at, _), _)| at)
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
    let (inner, _) = rest.get(open.len()..limit)?.split_once(close)?;
    // Braces around data are not a template.
    let is_data = inner.contains(['"', ',']) || inner.contains(": ");
    (!is_data || !matches!(open, "{{" | "%{")).then_some(open.len() + inner.len() + close.len())
}

/// Returns the tag at the start of `rest`, without its brackets.
fn tag<'a>(rest: &'a str, unclosed: &mut Unclosed) -> Option<&'a str> {
    let inner = rest.strip_prefix('<')?;
    let is_tag = inner.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '!' | '?'));
    if !is_tag || unclosed.has_open_tag {
        return None;
    }
    let tag = inner.split_once('>').map(|(tag, _)| tag);
    unclosed.has_open_tag = tag.is_none();
    // `<https://…>` is a link in Markdown and in chats.
    tag.filter(|tag| {
        !tag.split(char::is_whitespace)
            .next()
            .is_some_and(|name| name.contains("://"))
    })
}

/// Reads quoted text, or skips a mark that opens none.
fn quotation<'a>(
    rest: &'a str,
    before: Option<char>,
    unclosed: &mut Unclosed,
) -> (Option<TokenKind<'a>>, usize) {
    let quoted = rest.trim_start_matches('\\');
    let depth = rest.len() - quoted.len();
    let Some(mark) = quoted.chars().next().filter(|c| closing_mark(*c).is_some()) else {
        return (None, depth.max(1));
    };
    let start = depth + mark.len_utf8();
    let quote = Quote { mark, depth };
    // An apostrophe in a word, or a prime as in `5'`.
    let is_apostrophe = mark != '"' && depth == 0 && before.is_some_and(char::is_alphanumeric);
    if is_apostrophe || unclosed.quotes.contains(&quote) {
        return (None, start);
    }
    let inner = rest.get(start..).unwrap_or_default();
    let (content, is_open, length) = match quote.close(inner) {
        Some((content, length)) => (content, false, start + length),
        None if mark == '"' => (inner, true, rest.len()),
        None => {
            unclosed.quotes.push(quote);
            return (None, start);
        }
    };
    let content = quote.unescape(content);
    (Some(TokenKind::Text { content, is_open }), length)
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
            let is_escaped = if self.depth == 0 {
                backslashes % 2 == 1
            } else {
                backslashes != self.depth
            };
            if c == closing && !is_escaped {
                return Some((inner.get(..at - self.depth)?, at + c.len_utf8()));
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
                return Cow::Owned(text);
            };
            let digits = match c {
                'u' => 4,
                'x' => 2,
                _ => 0,
            };
            let code = after
                .get(1..=digits)
                .map(|code| u32::from_str_radix(code, 16));
            let (unescaped, length) = match (c, code) {
                // No id contains half of a surrogate pair.
                (_, Some(Ok(code))) => (char::from_u32(code).unwrap_or('\u{fffd}'), 1 + digits),
                ('n' | 'r', _) => ('\n', 1),
                ('t', _) => ('\t', 1),
                ('e', _) => ('\u{1b}', 1),
                _ => (c, c.len_utf8()),
            };
            text.push(unescaped);
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
