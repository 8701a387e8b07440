//! Reads structure: which name each value has, in whatever notation.

mod html;

use html::HtmlTable;

use super::{
    decode::{strip_broken_colours, strip_controls},
    findings::{Evidence, Findings, SkipReason},
    names::{
        NameClass, classify, classify_sentence, classify_words, ends_with_secret_name,
        is_credential_header, is_decisive_name, is_id_word, is_name_slot, is_value_slot,
        mentions_secret, precedes_secret,
    },
    table::{Row, Table, name_value_pair},
    tokens::{Quote, TextToken, TokenKind, tokenize},
    values::{
        self, NamedValue, is_hex_id, is_id_character, is_id_shape, is_plain_id, is_secret_shape,
        is_suspicious,
    },
};

/// How deep text within text is read: JSON in a string in a log in JSON is three deep.
const MAX_DEPTH: usize = 8;

/// How many brackets may be open at once; more are noise.
const MAX_SCOPES: usize = 64;

/// How many values of one object wait for the name beside them.
const MAX_DEFERRED: usize = 32;

/// How many words before a value are looked at.
const MAX_WORDS: usize = 6;

/// The longest name, in bytes; what is longer is text.
const MAX_NAME: usize = 80;

/// What is between two brackets.
#[derive(Debug, Default)]
struct BracketScope {
    bracket: Option<char>,
    /// The class of the name before the bracket.
    class: NameClass,
    /// What `"name": …` of this object says about its `"value"`.
    slot: NameClass,
    /// Values that came before the name beside them.
    deferred: Vec<String>,
    /// The class of the element before, where it is a name: `["taskId", "774d…"]`.
    element: NameClass,
    /// Whether a header of credentials has begun, which goes on to the end of the line.
    is_credential_header: bool,
    /// The classes of its elements, as long as all of them are names.
    heads: Option<Vec<NameClass>>,
    /// How many commas came.
    commas: usize,
}

/// A name at the end of a line, whose values are on the lines below.
#[derive(Debug, Clone, Copy)]
struct NameBlock {
    class: NameClass,
    indent: usize,
    /// Whether no value of it has come.
    is_fresh: bool,
    /// Whether the name stood alone, as the head of a column does.
    is_column: bool,
}

/// What is known within one line.
#[derive(Debug, Default)]
struct LineState<'a> {
    text: &'a str,
    /// The class of a value that is to come next.
    expected: Option<NameClass>,
    /// The class of the last name, for further values after a comma.
    class: NameClass,
    /// The last words that are no values.
    words: Vec<&'a str>,
    /// Whether a name or a sentence is in it, so that it is no list of ids.
    is_prose: bool,
    /// Ids of the usual shape without a name.
    unnamed: Vec<&'a str>,
    /// Words that are no such ids.
    others: Vec<&'a str>,
    /// What the name before the value is the place of.
    slot: Option<Slot>,
    is_quoted_name: bool,
    /// The word or quoted text right before.
    previous: Option<&'a str>,
    /// The first word in the last bracket: `["taskId"] =>`.
    bracketed: Option<&'a str>,
    /// Whether it belongs to a block or section whose name is a secret's.
    is_in_secret: bool,
}

/// Where a word stands.
#[derive(Debug, Clone, Copy)]
struct WordContext {
    start: usize,
    /// Whether a separator follows.
    is_name: bool,
    /// Whether it only wraps the value that follows, as in `UUID('…')` and `TaskId "…"`.
    is_wrapper: bool,
}

/// The content of a quotation, read as it comes.
#[derive(Debug)]
enum OpenQuotation {
    Secret,
    Read(Box<LineReader>),
}

/// What the name before a value is the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// Any name.
    Name,
    /// The value beside one.
    Value,
}

/// A reader of lines that share brackets, columns and blocks.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    depth: usize,
    /// The class of the name before the text as a whole.
    class: NameClass,
    root: BracketScope,
    scopes: Vec<BracketScope>,
    table: Option<Table>,
    /// The classes of the last list of names, for the lists of values after it: `(id, task_id)
    /// VALUES (1, '…')`.
    columns: Vec<NameClass>,
    html: HtmlTable,
    block: Option<NameBlock>,
    /// Whether the section of an INI or TOML file is named as a secret.
    is_secret_section: bool,
    /// The end of the last line that was not blank.
    previous: String,
    /// A quotation that the portion before did not end.
    open_quotation: Option<OpenQuotation>,
}

impl LineReader {
    fn nested(&self, class: NameClass) -> Self {
        Self {
            depth: self.depth + 1,
            class,
            ..Self::default()
        }
    }

    /// Reads text of any number of lines to its end.
    fn read(&mut self, text: &str, found: &mut Findings) {
        for line in text.split('\n') {
            self.read_line(line, true, found);
        }
        self.finish(found);
    }

    /// Resolves what still waits.
    pub(super) fn finish(&mut self, found: &mut Findings) {
        if let Some(OpenQuotation::Read(mut reader)) = self.open_quotation.take() {
            reader.finish(found);
        }
        while let Some(scope) = self.scopes.pop() {
            self.resolve(scope, found);
        }
        self.resolve_root(found);
    }

    /// Reads a line, or a portion of a long one.
    pub(super) fn read_line(&mut self, raw: &str, is_whole: bool, found: &mut Findings) {
        if let Some(unescaped) = unescape_markup(raw).filter(|_| self.depth < MAX_DEPTH) {
            self.nested(self.class).read(&unescaped, found);
        }
        let clean = strip_broken_colours(raw);
        let Some(text) = self.continue_text(&clean, is_whole, found) else {
            return;
        };
        if text.trim().is_empty() {
            self.end_paragraph(found);
            return;
        }
        self.drop_unclosed_brackets(text, found);
        if !(self.scopes.is_empty() && self.read_row(text, found)) {
            self.read_tokens(text, is_whole, found);
        }
        self.previous = last_chars(text, MAX_NAME).to_owned();
    }

    /// Goes on with a quotation of the portion before; returns what comes after it.
    fn continue_text<'a>(
        &mut self,
        line: &'a str,
        is_whole: bool,
        found: &mut Findings,
    ) -> Option<&'a str> {
        let Some(mut reader) = self.open_quotation.take() else {
            return Some(line);
        };
        let (content, rest) = match Quote::JSON.close(line) {
            Some((content, length)) => (content, line.get(length..)),
            None => (line, None),
        };
        reader.push(&Quote::JSON.unescape(content), found);
        if rest.is_none() && !is_whole {
            self.open_quotation = Some(reader);
        } else if let OpenQuotation::Read(mut reader) = reader {
            reader.finish(found);
        }
        rest
    }

    fn end_paragraph(&mut self, found: &mut Findings) {
        self.block = self.block.filter(|block| block.is_fresh);
        self.columns.clear();
        if self.scopes.is_empty() {
            self.table = None;
            self.resolve_root(found);
        }
    }

    /// Reads a line as a row of a table; reports whether it is one.
    fn read_row(&mut self, text: &str, found: &mut Findings) -> bool {
        match self.table.as_mut().map(|table| table.row(text)) {
            Some(Row::Cells(cells)) => {
                for (class, cell) in cells {
                    let class = if self.is_secret() {
                        NameClass::Secret
                    } else {
                        class
                    };
                    self.text_value(class, &cell, text, found);
                }
                true
            }
            Some(Row::Nothing) => true,
            Some(Row::End) | None => {
                let named = name_value_pair(text);
                for (class, cell) in named.iter().flatten() {
                    self.text_value(*class, cell, text, found);
                }
                self.table = Table::from_head(text).filter(|_| named.is_none());
                named.is_some() || self.table.is_some()
            }
        }
    }

    /// Reads a line token by token.
    fn read_tokens(&mut self, text: &str, is_whole: bool, found: &mut Findings) {
        let indent = text.len() - text.trim_start().len();
        let is_item = text.trim_start().starts_with("- ");
        if is_item && self.scopes.is_empty() {
            self.resolve_root(found);
        }
        self.scope().is_credential_header = false;
        let text = without_block_sign(text);
        if let Some(section) = section_name(text).filter(|_| self.scopes.is_empty()) {
            self.is_secret_section = classify(section) == NameClass::Secret;
        }
        let tokens = tokenize(text);
        let mut line = LineState {
            text,
            is_in_secret: self.is_secret_section,
            expected: (self.class != NameClass::Neutral).then_some(self.class),
            ..LineState::default()
        };
        self.begin_block(&mut line, indent, is_item);
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1);
            self.token(&mut line, token, next, is_whole, found);
        }
        self.end_line(&line, indent, found);
    }

    /// Forgets brackets that were never closed: a line that begins at the margin begins something
    /// new.
    fn drop_unclosed_brackets(&mut self, text: &str, found: &mut Findings) {
        let goes_on =
            |c: char| c.is_whitespace() || matches!(c, '}' | ']' | ')' | '"' | '\'' | ',' | '<');
        while !text.starts_with(goes_on)
            && let Some(scope) = self.scopes.pop()
        {
            self.resolve(scope, found);
        }
    }

    /// Hands the name at the end of a line before to the values of this one.
    fn begin_block(&mut self, line: &mut LineState<'_>, indent: usize, is_item: bool) {
        let Some(block) = self
            .block
            .as_mut()
            .filter(|_| !line.text.trim_start().starts_with('<'))
        else {
            return;
        };
        let words: Vec<_> = line.text.split_whitespace().collect();
        if is_lone_name(&words) {
            self.block = None;
            return;
        }
        let is_lone = words.len() == 1;
        let is_within = block.is_fresh
            || if block.is_column {
                is_lone
            } else {
                indent > block.indent || (is_item && indent >= block.indent)
            };
        if is_within {
            line.expected = Some(block.class);
            line.class = block.class;
            line.is_in_secret |= block.class == NameClass::Secret && indent > block.indent;
            block.is_fresh = false;
        } else {
            self.block = None;
        }
    }

    /// Remembers a name that ends the line, and judges what the line holds without any.
    fn end_line(&mut self, line: &LineState<'_>, indent: usize, found: &mut Findings) {
        if self.scopes.is_empty() && !self.columns.is_empty() && self.table.is_none() {
            self.table = Some(Table::with_columns(self.columns.clone()));
        }
        let is_lone_name = line.unnamed.is_empty()
            && line.words.len() == line.others.len()
            && !line.is_prose
            && is_lone_name(&line.words);
        if is_lone_name {
            let class = classify_words(&line.words);
            self.block = Some(NameBlock {
                class,
                indent,
                is_fresh: true,
                is_column: true,
            });
            return;
        }
        self.save_trailing_name(line, indent);
        if !self.is_secret() && !line.is_prose {
            self.classify_unnamed(line, found);
        }
    }

    /// Remembers a name that ends the line: its values are below.
    fn save_trailing_name(&mut self, line: &LineState<'_>, indent: usize) {
        let tells = |class: &NameClass| *class != NameClass::Neutral;
        // `token: >-` too.
        let end = line.text.trim_end().trim_end_matches(['-', '+']);
        let ends_with_name = end.ends_with([':', '=', '：', '|', '>']);
        if let Some(class) = line
            .expected
            .filter(tells)
            .filter(|_| ends_with_name && line.is_prose)
        {
            self.block = Some(NameBlock {
                class,
                indent,
                is_fresh: true,
                is_column: false,
            });
        }
    }

    /// Judges the words of a line that holds no name.
    fn classify_unnamed(&self, line: &LineState<'_>, found: &mut Findings) {
        if line.others.iter().all(|word| is_plain_id(word)) {
            for id in &line.unnamed {
                found.add(id, Evidence::Listed, line.text);
            }
        }
        let is_lone = line.others.len() == 1 && line.unnamed.is_empty();
        let is_list = line.text.contains(['"', '\'', ','])
            && line.others.iter().all(|word| is_plain_id(word));
        for word in &line.others {
            if is_secret_shape(word) {
                found.add_secret(word);
            } else if is_suspicious(word) {
                found.add(word, Evidence::Suspicious, line.text);
            } else if is_list || (is_lone && is_plain_id(word)) {
                found.add(word, Evidence::Listed, line.text);
            } else if is_lone
                || !line.unnamed.is_empty()
                || word.contains(|c: char| c.is_ascii_digit())
            {
                // A number in a quoted sentence was not meant as an id.
                if self.depth > 0 && !is_plain_id(word) {
                    continue;
                }
                found.reject(word);
            }
        }
    }

    fn token<'a>(
        &mut self,
        line: &mut LineState<'a>,
        token: &'a TextToken<'a>,
        next: Option<&TextToken<'_>>,
        is_whole: bool,
        found: &mut Findings,
    ) {
        let content = token.kind.content();
        self.track_name_list(content, &token.kind, found);
        line.bracketed = line.bracketed.or(content);
        match &token.kind {
            TokenKind::Word(word) => self.word(line, word, WordContext::new(token, next), found),
            TokenKind::Text {
                content,
                is_open: true,
            } if !is_whole => self.open_quotation(line, content, found),
            TokenKind::Text {
                content,
                is_open: true,
            } if line.expected == Some(NameClass::Task) && may_be_truncated(content) => {
                found.add(content, Evidence::Suspicious, line.text);
            }
            TokenKind::Text { content, .. } => self.text(line, content, next, found),
            TokenKind::Separator => self.separator(line),
            TokenKind::Open(bracket) => self.open(line, *bracket, found),
            TokenKind::Close(_) => self.close(line, next, found),
            TokenKind::Comma => {
                line.expected = None;
                line.words.clear();
                self.scope().commas += 1;
            }
            TokenKind::Break => {
                (line.expected, line.class) = (None, NameClass::Neutral);
                line.words.clear();
            }
            TokenKind::Tag(tag) => self.tag(line, tag, found),
            TokenKind::Template => {
                if line.expected.take() == Some(NameClass::Task) {
                    let template = line.text.get(token.span.clone()).unwrap_or_default();
                    found.skip(SkipReason::Placeholder, template);
                }
            }
        }
        line.previous = content;
    }

    /// Follows a list of nothing but names.
    fn track_name_list(
        &mut self,
        content: Option<&str>,
        kind: &TokenKind<'_>,
        found: &mut Findings,
    ) {
        let scope = self.scope();
        let at = scope.commas;
        if let TokenKind::Close(_) = kind {
            let tells = |class: &NameClass| matches!(class, NameClass::Task | NameClass::Secret);
            let heads = scope.heads.take().unwrap_or_default();
            if heads.len() > 1 && heads.iter().any(tells) {
                found.names_tasks |= heads.contains(&NameClass::Task);
                self.columns = heads;
            }
            return;
        }
        let is_list = *kind == TokenKind::Comma
            || content.is_some_and(|content| {
                let is_name = !content.starts_with(|c: char| !c.is_alphabetic() && c != '_')
                    && content.len() <= MAX_NAME
                    && !is_id_shape(content)
                    && !content.contains(['=', ':', '/', '"', '\'']);
                let heads = scope
                    .heads
                    .as_mut()
                    .filter(|heads| is_name && heads.len() == at);
                heads.map(|heads| heads.push(classify(content))).is_some()
            });
        if !is_list {
            scope.heads = None;
        }
    }

    fn scope(&mut self) -> &mut BracketScope {
        match self.scopes.last_mut() {
            Some(scope) => scope,
            None => &mut self.root,
        }
    }

    /// Reports whether all that is read now belongs to a secret.
    fn is_secret(&self) -> bool {
        self.class == NameClass::Secret
            || self
                .scopes
                .iter()
                .any(|scope| scope.class == NameClass::Secret)
    }

    /// Reports whether an id without a name of its own belongs to the name of a task.
    fn is_task(&self) -> bool {
        let is_task = |scope: &BracketScope| scope.class == NameClass::Task;
        self.scopes.iter().any(is_task)
    }

    /// Judges the name before a separator.
    fn separator(&mut self, line: &mut LineState<'_>) {
        let words = std::mem::take(&mut line.words);
        let Some(name) = words.last() else {
            return;
        };
        let mut class = classify_words(&words);
        line.slot = if is_name_slot(name) {
            Some(Slot::Name)
        } else if class == NameClass::Neutral && is_value_slot(name) {
            Some(Slot::Value)
        } else {
            None
        };
        let is_value = line.slot == Some(Slot::Value);
        if class == NameClass::Secret && !line.is_quoted_name && is_credential_header(name) {
            self.scope().is_credential_header = true;
        }
        // The whole name of a task's id counts even there: many a name only looks like a secret's.
        let is_secret = self.is_secret()
            || self.scope().is_credential_header
            || line.is_in_secret
            || (class == NameClass::Neutral && mentions_secret(&words));
        if is_secret && class != NameClass::Task {
            class = NameClass::Secret;
        } else if is_value && self.scope().slot != NameClass::Neutral {
            class = self.scope().slot;
        } else if is_value && self.is_task() {
            class = NameClass::Task;
        } else if class == NameClass::Neutral
            && is_id_word(name)
            && self.scope().class == NameClass::Foreign
        {
            // `"user": {"id": …}`.
            class = NameClass::Foreign;
        }
        line.expected = Some(class);
        line.class = class;
        line.is_prose = true;
        line.is_quoted_name = false;
    }

    fn open(&mut self, line: &mut LineState<'_>, bracket: char, found: &mut Findings) {
        if self.scopes.len() >= MAX_SCOPES {
            let oldest = self.scopes.remove(0);
            self.resolve(oldest, found);
        }
        // `variable "api_key" { default = … }`.
        let label = line
            .previous
            .filter(|label| bracket == '{' && is_decisive_name(label));
        let class = line
            .expected
            .take()
            .or_else(|| label.map(classify))
            .unwrap_or_default();
        line.bracketed = None;
        // `"value": {"stringValue": …}` beside a name.
        self.scopes.push(BracketScope {
            bracket: Some(bracket),
            heads: matches!(bracket, '(' | '[').then(Vec::new),
            class,
            ..BracketScope::default()
        });
        line.words.clear();
        line.class = NameClass::Neutral;
        line.is_prose |= bracket == '{';
    }

    fn close(
        &mut self,
        line: &mut LineState<'_>,
        next: Option<&TextToken<'_>>,
        found: &mut Findings,
    ) {
        let scope = self.scopes.pop().unwrap_or_default();
        let (bracket, class) = (scope.bracket, scope.class);
        self.resolve(scope, found);
        (line.expected, line.class) = (None, NameClass::Neutral);
        line.words.clear();
        let Some(next) = next else { return };
        let is_wrapped = matches!(next.kind, TokenKind::Text { .. } | TokenKind::Open('('));
        if bracket == Some('[') && next.kind == TokenKind::Separator {
            // `["taskId"] =>`, `headers['Authorization'] =`.
            line.words.extend(line.bracketed);
        } else if bracket == Some('(') && class != NameClass::Neutral && is_wrapped {
            // A type before the value: `string(32) "…"`, `(string) (len=32) "…"`.
            line.expected = Some(class);
        }
    }

    /// Resolves what is outside of all brackets.
    fn resolve_root(&mut self, found: &mut Findings) {
        let root = std::mem::take(&mut self.root);
        self.resolve(root, found);
    }

    /// Reads the values that waited for a name in their object.
    fn resolve(&mut self, scope: BracketScope, found: &mut Findings) {
        let class = if scope.class == NameClass::Secret || self.is_secret() {
            NameClass::Secret
        } else {
            scope.slot
        };
        for content in scope.deferred {
            self.text_value(class, &content, &content, found);
        }
    }

    /// Reads a word: a part of a name, a value, or a word of a sentence.
    fn word<'a>(
        &mut self,
        line: &mut LineState<'a>,
        word: &'a str,
        place: WordContext,
        found: &mut Findings,
    ) {
        let trimmed = word.trim_matches(['.', '/', '+', '@']);
        let is_value =
            is_hex_id(trimmed) || (line.expected == Some(NameClass::Task) && is_plain_id(trimmed));
        if place.is_name && !is_value {
            let name = word.rsplit('/').next().unwrap_or(word);
            line.words
                .extend(name.split('.').filter(|part| !part.is_empty()));
            return;
        }
        if !word.contains(char::is_alphanumeric) {
            return;
        }
        let is_number = trimmed.len() < 4 && trimmed.bytes().all(|b| b.is_ascii_digit());
        if is_number && line.words.is_empty() && line.expected.is_none() && self.scopes.is_empty() {
            // The number of an item in a list.
            return;
        }
        let element = std::mem::take(&mut self.scope().element);
        let mut class = line.expected.or_else(|| self.class_of_element(element));
        if self.html.is_in_cell && !word.contains(|c: char| c.is_ascii_digit()) {
            // The cell may be the head of another column.
            class = None;
        }
        let Some(class) = class else {
            return self.read_unnamed_word(line, word, place.start, found);
        };
        if (place.is_wrapper && class != NameClass::Neutral)
            || (class == NameClass::Secret && precedes_secret(word))
        {
            return self.name_from_key_element(line, word);
        }
        if line.expected.take().is_some() {
            self.html.next = NameClass::Neutral;
        }
        if self.take_slot_name(line, word, found)
            || (class == NameClass::Neutral
                && is_id_shape(trimmed)
                && self.try_defer(line, trimmed))
        {
            return;
        }
        match class {
            NameClass::Secret => {
                found.add_secret(word);
                self.name_from_key_element(line, word);
            }
            NameClass::Neutral if self.is_deferred_item(line, trimmed) => {
                self.scope().deferred.push(trimmed.to_owned());
            }
            NameClass::Task => named(values::unquoted(trimmed), word, line.text, found),
            NameClass::Foreign if is_id_shape(trimmed) => found.skip(SkipReason::Foreign, trimmed),
            NameClass::Foreign | NameClass::Neutral => {
                self.read_unnamed_word(line, word, place.start, found);
            }
        }
    }

    /// Takes the content of `<key>` for the name of the next element, as in a property list.
    fn name_from_key_element(&mut self, line: &LineState<'_>, word: &str) {
        if line.text.contains("<key>") && !is_hex_id(word) {
            self.html.next = classify(word);
        }
    }

    /// Reports whether a value waits for the name below it: `- value: …` before `name: …`.
    fn is_deferred_item(&mut self, line: &mut LineState<'_>, value: &str) -> bool {
        line.slot.take() == Some(Slot::Value)
            && is_hex_id(value)
            && line.text.trim_start().starts_with("- ")
            && self.scopes.is_empty()
            && self.root.deferred.len() < MAX_DEFERRED
    }

    /// Returns the class of an element of a list that has no name of its own.
    fn class_of_element(&mut self, element: NameClass) -> Option<NameClass> {
        if self.is_secret() {
            return Some(NameClass::Secret);
        }
        let scope = self.scope();
        let (of_scope, at) = (scope.class, scope.commas);
        let is_row = matches!(scope.bracket, Some('(' | '['));
        let class = [element, of_scope]
            .into_iter()
            .find(|class| *class != NameClass::Neutral)
            .or_else(|| self.columns.get(at).copied().filter(|_| is_row))
            .unwrap_or_default();
        matches!(
            class,
            NameClass::Task | NameClass::Secret | NameClass::Foreign
        )
        .then_some(class)
    }

    /// Takes the value of a place for names as the name it is; reports whether that was all it is.
    fn take_slot_name(
        &mut self,
        line: &mut LineState<'_>,
        value: &str,
        found: &mut Findings,
    ) -> bool {
        if line.slot.take_if(|slot| *slot == Slot::Name).is_none()
            || is_hex_id(value)
            || is_plain_id(value)
            || value.len() > MAX_NAME
        {
            return false;
        }
        let class = classify(value);
        found.names_tasks |= class == NameClass::Task;
        let scope = self.scope();
        if class != NameClass::Neutral {
            scope.slot = class;
            let waiting = std::mem::take(&mut scope.deferred);
            for content in waiting {
                self.text_value(class, &content, &content, found);
            }
        }
        true
    }

    /// Keeps the value of an object until the name beside it comes; reports whether it does.
    fn try_defer(&mut self, line: &mut LineState<'_>, value: &str) -> bool {
        let scope = self.scope();
        let is_deferred = line.slot.take_if(|slot| *slot == Slot::Value).is_some()
            && matches!(scope.bracket, None | Some('{'))
            && scope.deferred.len() < MAX_DEFERRED;
        if is_deferred {
            scope.deferred.push(value.to_owned());
        }
        is_deferred
    }

    /// Reads a word that no name announces.
    fn read_unnamed_word<'a>(
        &mut self,
        line: &mut LineState<'a>,
        word: &'a str,
        start: usize,
        found: &mut Findings,
    ) {
        let mut has_id = false;
        for (piece, is_file) in pieces(word) {
            has_id |= is_id_shape(piece);
            if is_id_shape(piece) && !is_file {
                self.read_unnamed_id(line, piece, start, found);
            }
        }
        if has_id {
            return;
        }
        let trimmed = word.trim_matches(['.', '/', '+', '@']);
        if is_plain_id(trimmed) {
            let class = classify_words(&line.words);
            if class == NameClass::Task || line.class == NameClass::Task {
                return named(values::unquoted(trimmed), word, line.text, found);
            }
            if class == NameClass::Secret || self.is_secret() {
                return found.add_secret(trimmed);
            }
        }
        if line.class != NameClass::Task && !precedes_secret(word) {
            line.class = NameClass::Neutral;
        }
        line.others.push(trimmed);
        if line.words.len() == MAX_WORDS {
            line.words.remove(0);
        }
        line.words.push(word);
        found.names_tasks = found.names_tasks || classify_words(&line.words) == NameClass::Task;
    }

    /// Reads an id of the usual shape that no name announces.
    fn read_unnamed_id<'a>(
        &mut self,
        line: &mut LineState<'a>,
        id: &'a str,
        start: usize,
        found: &mut Findings,
    ) {
        let class = if self.is_secret() || self.scope().is_credential_header {
            NameClass::Secret
        } else {
            match (line.class, classify_sentence(&line.words)) {
                (NameClass::Neutral, NameClass::Neutral) if self.is_task() => NameClass::Task,
                (NameClass::Neutral, class) | (_, class @ NameClass::Secret) | (class, _) => class,
            }
        };
        line.words.clear();
        if class != NameClass::Neutral {
            line.class = class;
        }
        match class {
            NameClass::Secret => found.add_secret(id),
            NameClass::Foreign => found.skip(SkipReason::Foreign, id),
            NameClass::Task => found.add(id, Evidence::Named, line.text),
            NameClass::Neutral if self.is_behind_secret(line, start) => found.add_secret(id),
            NameClass::Neutral => {
                line.unnamed.push(id);
                found.add(id, Evidence::Shape, line.text);
            }
        }
    }

    /// Reports whether a secret's name is before a value, whatever signs are between.
    ///
    /// The second look at a value without a name: quotes that do not match may hide the name from
    /// the tokens.
    fn is_behind_secret(&self, line: &LineState<'_>, start: usize) -> bool {
        let before = line.text.get(..start).unwrap_or_default();
        let near = last_chars(before, MAX_NAME);
        ends_with_secret_name(near)
            || (!before.contains(char::is_alphanumeric) && ends_with_secret_name(&self.previous))
    }

    /// Reads quoted text: a name, a value, or an element of a list.
    fn text<'a>(
        &mut self,
        line: &mut LineState<'a>,
        content: &'a str,
        next: Option<&TextToken<'_>>,
        found: &mut Findings,
    ) {
        let is_name = next.is_some_and(|next| next.kind == TokenKind::Separator);
        if is_name && content.len() <= MAX_NAME && !is_hex_id(content) {
            line.words.clear();
            line.words.push(content);
            line.is_quoted_name = true;
            return;
        }
        let announced = line.expected.take();
        let is_paired = matches!(next.map(|next| &next.kind), Some(TokenKind::Text { .. }))
            || (next.is_none() && line.words.is_empty() && !line.is_prose);
        let scope = self.scope();
        let element = std::mem::take(&mut scope.element);
        found.names_tasks = found.names_tasks
            || (is_decisive_name(content) && classify(content) == NameClass::Task);
        if announced.is_none()
            && is_decisive_name(content)
            && (scope.bracket.is_some() || is_paired)
            && scope.class == NameClass::Neutral
        {
            // The name of the next element.
            scope.element = classify(content);
            return;
        }
        let class = announced
            .or_else(|| self.class_of_element(element))
            .unwrap_or_else(|| match classify_sentence(&line.words) {
                NameClass::Task if is_plain_id(content) => NameClass::Task,
                NameClass::Secret => NameClass::Secret,
                NameClass::Task | NameClass::Foreign | NameClass::Neutral
                    if is_id_shape(content) && self.is_task() =>
                {
                    NameClass::Task
                }
                NameClass::Task | NameClass::Foreign | NameClass::Neutral => NameClass::Neutral,
            });
        self.html.next = NameClass::Neutral;
        if announced.is_some() && self.take_slot_name(line, content, found) {
            return;
        }
        if announced.is_some() && class == NameClass::Neutral && self.try_defer(line, content) {
            return;
        }
        line.slot = None;
        if announced.is_none()
            && class == NameClass::Neutral
            && is_single_word(content)
            && !line.is_prose
        {
            return self.list_item(line, content, found);
        }
        self.text_value(class, content, line.text, found);
    }

    /// Reads a quoted word that stands in a line without names.
    fn list_item<'a>(&mut self, line: &mut LineState<'a>, content: &'a str, found: &mut Findings) {
        if is_id_shape(content) {
            self.read_unnamed_id(line, content, 0, found);
        } else {
            line.others.push(content);
        }
    }

    /// Reads a value that is text, by the class of its name.
    fn text_value(&mut self, class: NameClass, content: &str, line: &str, found: &mut Findings) {
        let is_single = is_single_word(content);
        let content = content.trim();
        // `'"33a6…"'`, `W/"33a6…"`.
        let bare = content.trim_start_matches("W/").trim_matches(['"', '\'']);
        match class {
            NameClass::Secret => found.add_secret(content),
            NameClass::Task if is_single => named(values::quoted(content), content, line, found),
            NameClass::Foreign if is_id_shape(bare) || is_plain_id(bare) => {
                found.skip(SkipReason::Foreign, bare);
            }
            NameClass::Foreign if is_single => {}
            NameClass::Neutral if is_single => {
                if is_id_shape(content) {
                    found.add(content, Evidence::Shape, line);
                }
            }
            NameClass::Task | NameClass::Foreign | NameClass::Neutral if self.depth < MAX_DEPTH => {
                let class = if class == NameClass::Task {
                    class
                } else {
                    NameClass::Neutral
                };
                self.nested(class).read(&strip_controls(content), found);
            }
            NameClass::Task | NameClass::Foreign | NameClass::Neutral => {}
        }
    }

    /// Begins a quotation that goes on in the next portion.
    fn open_quotation(&mut self, line: &mut LineState<'_>, content: &str, found: &mut Findings) {
        let class = line.expected.take().unwrap_or(line.class);
        let mut reader =
            if class == NameClass::Secret || self.is_secret() || self.depth >= MAX_DEPTH {
                OpenQuotation::Secret
            } else {
                OpenQuotation::Read(Box::new(self.nested(class)))
            };
        reader.push(content, found);
        self.open_quotation = Some(reader);
    }
}

impl WordContext {
    fn new(token: &TextToken<'_>, next: Option<&TextToken<'_>>) -> Self {
        let gap = next.map_or(0, |next| next.span.start - token.span.end);
        let is_letters =
            matches!(token.kind, TokenKind::Word(word) if word.chars().all(char::is_alphabetic));
        let kind = next.map(|next| &next.kind);
        Self {
            start: token.span.start,
            is_name: kind == Some(&TokenKind::Separator),
            is_wrapper: match kind {
                Some(TokenKind::Open(_)) => gap == 0,
                Some(TokenKind::Text { .. }) => is_letters && gap <= 1,
                _ => false,
            },
        }
    }
}

/// Reports whether a value whose quotation has no end may lack its own end.
fn may_be_truncated(content: &str) -> bool {
    is_plain_id(content) && !is_hex_id(content)
}

/// Returns a line of YAML without its block sign, as in `key: |` or `key: !tag >-`.
fn without_block_sign(text: &str) -> &str {
    let trimmed = text.trim_end();
    let head = trimmed.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
    head.strip_suffix(['|', '>'])
        .map(str::trim_end)
        .map(|head| match head.rsplit_once(' ') {
            Some((name, tag)) if tag.starts_with('!') => name.trim_end(),
            _ => head,
        })
        .filter(|head| head.ends_with(':'))
        .unwrap_or(text)
}

/// Returns the name of a section that a line begins: `[credentials]`.
fn section_name(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let name = name.trim_matches(['[', ']']);
    (!name.is_empty() && !is_hex_id(name) && name.chars().all(is_name)).then_some(name)
}

/// Reports whether a line is nothing but the name of a task's id or of a secret.
fn is_lone_name(words: &[&str]) -> bool {
    words.len() <= 3 && matches!(classify_words(words), NameClass::Task | NameClass::Secret)
}

/// Adds a value named as a task's id.
fn named(value: NamedValue, word: &str, line: &str, found: &mut Findings) {
    match value {
        NamedValue::Id(id) => found.add(id.as_str(), Evidence::Named, line),
        NamedValue::Placeholder => found.skip(SkipReason::Placeholder, word),
    }
}

impl OpenQuotation {
    /// Reads a portion.
    fn push(&mut self, content: &str, found: &mut Findings) {
        let Self::Read(reader) = self else {
            return found.add_secret(content);
        };
        let text = strip_controls(content);
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            reader.read_line(line, lines.peek().is_some(), found);
        }
    }
}

/// Reports whether a value is one word.
fn is_single_word(content: &str) -> bool {
    let content = content.trim();
    !content.is_empty()
        && content.chars().all(|c| {
            is_id_character(c)
                || matches!(c, '.' | '$' | '%' | '~' | '+')
                || !c.is_ascii() && c.is_alphanumeric()
        })
}

/// Returns the pieces of a word that could be ids, and whether each is the name of a file or a part
/// of a link.
fn pieces(word: &str) -> impl Iterator<Item = (&str, bool)> {
    let is_path = word.contains('/');
    let mut previous = "";
    word.split('/').flat_map(move |segment| {
        let is_task = matches!(previous, "task" | "tasks");
        previous = segment;
        let trimmed = segment.trim_matches(['.', '+', '$', '%']);
        let inner = trimmed.split(['.', '@', '+', '$', '%']);
        let is_compound = trimmed.contains(['.', '@']);
        inner.map(move |piece| (piece, is_compound || (is_path && !is_task)))
    })
}

/// Returns the last characters of a text.
fn last_chars(text: &str, count: usize) -> &str {
    let start = text.char_indices().rev().nth(count).map_or(0, |(at, _)| at);
    text.get(start..).unwrap_or(text)
}

/// Signs in the escapes of HTML and of links.
const MARKUP_ESCAPES: [(&str, &str); 23] = [
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&#x22;", "\""),
    ("&apos;", "'"),
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&nbsp;", " "),
    ("&amp;", "&"),
    ("\\u0026", "&"),
    ("\\u003d", "="),
    ("\\u0022", "\""),
    ("%25", "%"),
    ("%22", "\""),
    ("%3A", ":"),
    ("%3D", "="),
    ("%26", "&"),
    ("%3F", "?"),
    ("%7B", "{"),
    ("%7D", "}"),
    ("%2C", ","),
    ("%20", " "),
];

/// Returns a text with such escapes undone; nothing where there is none.
fn unescape_markup(text: &str) -> Option<String> {
    if !text.contains(['&', '%', '\\']) {
        return None;
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut is_changed = false;
    let mut rest = text;
    while let Some(at) = rest.find(['&', '%', '\\']) {
        let (before, escape) = rest.split_at_checked(at)?;
        unescaped.push_str(before);
        let found = MARKUP_ESCAPES.iter().find(|(from, _)| {
            escape
                .get(..from.len())
                .is_some_and(|lead| lead.eq_ignore_ascii_case(from))
        });
        let (sign, length) = match found {
            Some((from, to)) => (*to, from.len()),
            None => (escape.get(..1)?, 1),
        };
        is_changed |= found.is_some();
        unescaped.push_str(sign);
        rest = escape.get(length..)?;
    }
    unescaped.push_str(rest);
    is_changed.then_some(unescaped)
}
