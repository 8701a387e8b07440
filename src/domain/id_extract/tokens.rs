//! A line of any notation in tokens: words, quoted text, and the signs of structure.

use std::{borrow::Cow, ops::Range};

/// The longest template looked for, in characters.
const MAX_TEMPLATE: usize = 200;

/// What begins plain text in XML.
const CDATA: &str = "<![CDATA[";
/// The longest tag or anchor of YAML passed over, in characters: shorter than any id without a
/// name.
const MAX_YAML_TAG_LEN: usize = 12;

/// One token, with its place in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextToken<'a> {
    pub(super) kind: TokenKind<'a>,
    pub(super) span: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind<'a> {
    /// Characters between white space and signs.
    Word(&'a str),
    /// Quoted text without its quotes and escapes. It is open where the line ends within it.
    Text {
        content: Cow<'a, str>,
        is_open: bool,
    },
    /// What stands between a name and its value: `:`, `=`, `=>`.
    Separator,
    /// A bracket that opens.
    Open(char),
    /// A bracket that closes.
    Close(char),
    /// A comma or semicolon.
    Comma,
    /// `&`, `|`, `?`, `#`: what comes after it has nothing to do with what is before.
    Break,
    /// A tag of HTML or XML, without its brackets.
    Tag(&'a str),
    /// A stand-in of a template or a shell: `{{ id }}`, `${id}`, `<% id %>`.
    Template,
}

impl TokenKind<'_> {
    /// Returns what a word or a quoted text says.
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

/// A quotation that may go on in the next portion of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    sign: char,
    /// How many backslashes stand before each of the two signs.
    depth: usize,
}

/// What has no end in the rest of a line, so that it is looked for once.
#[derive(Debug, Default)]
struct Unclosed {
    quotes: Vec<Quote>,
    has_open_tag: bool,
}

/// Splits a line into tokens.
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

/// Returns the token that `rest` begins with, and how much of it that is.
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
    // Assignments of shells, make and Ruby too.
    let assignment = ["->", "?=", "+=", "||=", "??=", "|="]
        .into_iter()
        .find(|sign| rest.starts_with(sign));
    if let Some(sign) = assignment {
        return (Some(TokenKind::Separator), sign.len());
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
        // White space, and signs that only adorn: `*`, `!`, `…`.
        _ => (None, c.len_utf8()),
    }
}

/// Returns the length of what only adorns the value after it: a tag or an anchor of YAML, the `W/`
/// of a weak etag.
fn prefix_len(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("W/\"") {
        return 2;
    }
    let signs = rest.len() - rest.trim_start_matches(['!', '&']).len();
    if signs == 0 || !before.is_none_or(char::is_whitespace) {
        return 0;
    }
    let name = rest.get(signs..).unwrap_or_default();
    let mut word = name
        .char_indices()
        .take(MAX_YAML_TAG_LEN + 1)
        .skip_while(|(_, c)| is_in_word(*c) || *c == ':');
    match word.next() {
        Some((length, end)) if length > 0 && end.is_whitespace() => signs + length,
        _ => 0,
    }
}

/// Reads a quotation with a letter of Python before it: `b'…'`.
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

/// Returns the length of a template's stand-in that `rest` begins with.
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
    // Braces around data are no template.
    let is_data = inner.get(..end)?.contains(['"', ',']) || inner.get(..end)?.contains(": ");
    (!is_data || !matches!(open, "{{" | "%{")).then_some(open.len() + end + close.len())
}

/// Returns a tag that `rest` begins with, and its length with both brackets.
fn tag<'a>(rest: &'a str, unclosed: &mut Unclosed) -> Option<(&'a str, usize)> {
    let inner = rest.strip_prefix('<')?;
    let begins = inner.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '!' | '?'));
    if !begins || unclosed.has_open_tag {
        return None;
    }
    let Some(end) = inner.find('>') else {
        unclosed.has_open_tag = true;
        return None;
    };
    let tag = inner.get(..end)?;
    // `<https://…>` is a link, as in Markdown and chats.
    let is_link = tag.split(char::is_whitespace).next()?.contains("://");
    (!is_link).then_some((tag, end + 2))
}

/// Reads a quotation, or passes over a sign that opens none.
fn quotation<'a>(
    rest: &'a str,
    before: Option<char>,
    unclosed: &mut Unclosed,
) -> (Option<TokenKind<'a>>, usize) {
    let depth = rest.len() - rest.trim_start_matches('\\').len();
    let quoted = rest.get(depth..).unwrap_or_default();
    let Some(sign) = quoted.chars().next().filter(|c| closing(*c).is_some()) else {
        return (None, depth.max(1));
    };
    let lead = depth + sign.len_utf8();
    let quote = Quote { sign, depth };
    // An apostrophe within a word; a sign of length.
    if sign != '"' && depth == 0 && before.is_some_and(char::is_alphanumeric) {
        return (None, lead);
    }
    if unclosed.quotes.contains(&quote) {
        return (None, lead);
    }
    let inner = rest.get(lead..).unwrap_or_default();
    if let Some((content, length)) = quote.close(inner) {
        let content = quote.unescape(content);
        return (
            Some(TokenKind::Text {
                content,
                is_open: false,
            }),
            lead + length,
        );
    }
    if sign == '"' {
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
    (None, lead)
}

/// Returns the sign that closes what `c` opens.
const fn closing(c: char) -> Option<char> {
    match c {
        '"' | '\'' | '`' | '”' => Some(c),
        '“' => Some('”'),
        '‘' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

impl Quote {
    /// The quotation of JSON, which alone may go on over portions.
    pub(super) const JSON: Self = Self {
        sign: '"',
        depth: 0,
    };

    /// Returns what is quoted, and the length with the closing sign.
    pub(super) fn close(self, inner: &str) -> Option<(&str, usize)> {
        let closing = closing(self.sign)?;
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

    /// Undoes one layer of the escapes of JSON, C and the shell.
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
            // Half of a surrogate pair is in no id.
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
