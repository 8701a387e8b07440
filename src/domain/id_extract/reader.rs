//! Assigns a name to each value, in any notation.

use super::{
    decode::{strip_broken_colours, strip_controls, unescape_markup},
    findings::{Evidence, Findings, SkipReason},
    names::{
        NameClass::{self, Foreign, Neutral, Secret, Task},
        WordList, classify, classify_sentence, classify_words, ends_with_secret_name,
        is_credential_header, is_decisive_name, is_id_word, is_name_slot, is_value_slot,
        mentions_secret, precedes_secret,
    },
    table::{Row, Table, name_value_pair},
    tokens::{Quote, TextToken, TokenKind, tokenize},
    values::{
        self, NamedValue, is_hex_id, is_id_shape, is_plain_id, is_secret_shape, is_single_word,
        is_suspicious,
    },
};

/// The deepest text within text that is read. JSON in a string in a JSON log has depth three.
const MAX_DEPTH: usize = 8;

/// The most brackets open at once. When there are more, the outermost one is dropped.
const MAX_SCOPES: usize = 64;

/// The most values of an object kept until their name comes.
const MAX_DEFERRED: usize = 32;

/// The most words before a value that are considered.
const MAX_WORDS: usize = 6;

/// The longest name, in bytes. Anything longer is text.
const MAX_NAME: usize = 80;

/// HTML elements that only format their text.
static FORMATTING: WordList = WordList::new(
    "a b br code dd div dt em font i kbd label li mark p pre samp small span strong tt u var",
);

/// The bracket of a row of an HTML table.
const HTML_ROW: char = '<';

/// The state between a pair of brackets.
#[derive(Debug, Default)]
struct BracketScope {
    bracket: Option<char>,
    /// The class of the name before the bracket.
    class: NameClass,
    /// The class that the `"name"` of this object gives to its `"value"`.
    slot: NameClass,
    /// Values that came before their name.
    deferred: Vec<String>,
    /// The class of the previous element if it is a name: `["taskId", "774d…"]`.
    element: NameClass,
    /// Whether the rest of the line belongs to a header with credentials.
    is_credential_header: bool,
    /// The classes of the elements, while all of them are names.
    names: Option<Vec<NameClass>>,
    commas: usize,
}

/// A name at the end of a line, with its values on the lines below.
#[derive(Debug, Clone, Copy)]
struct NameBlock {
    class: NameClass,
    indent: usize,
    /// Whether it has no value yet.
    is_fresh: bool,
}

/// The state of one line.
#[derive(Debug, Default)]
struct LineState<'a> {
    text: &'a str,
    tokens: &'a [TextToken<'a>],
    /// The index of the current token.
    at: usize,
    /// The class of the next value.
    expected: Option<NameClass>,
    /// The class of the last name, for further values after a comma.
    class: NameClass,
    /// The last words that are not values.
    words: Vec<&'a str>,
    /// The name before the next value.
    field: &'a str,
    /// Whether the line has a name or a sentence, and so is not a list of ids.
    is_prose: bool,
    /// Words with the shape of an id, without a name.
    unnamed: Vec<&'a str>,
    /// Words without the shape of an id.
    others: Vec<&'a str>,
    /// Whether the line is in a block or section with the name of a secret.
    is_in_secret: bool,
}

impl<'a> LineState<'a> {
    fn token(&self, at: usize) -> Option<&'a TokenKind<'a>> {
        self.tokens.get(at).map(|token| &token.kind)
    }

    fn next(&self) -> Option<&'a TokenKind<'a>> {
        self.token(self.at + 1)
    }

    fn previous(&self) -> Option<&'a TokenKind<'a>> {
        self.token(self.at.checked_sub(1)?)
    }

    /// Returns the text before the current token.
    fn before(&self) -> &'a str {
        let start = self.tokens.get(self.at).map_or(0, |token| token.span.start);
        self.text.get(..start).unwrap_or_default()
    }

    /// Returns the first word in the last bracket: `["taskId"] =>`.
    fn bracketed(&self) -> Option<&'a str> {
        let before = self.tokens.get(..self.at)?;
        let is_open = |token: &TextToken<'_>| matches!(token.kind, TokenKind::Open(_));
        let open = before.iter().rposition(is_open)?;
        before
            .iter()
            .skip(open)
            .find_map(|token| token.kind.content())
    }

    /// Reports whether the current word wraps the next value, as in `UUID('…')` and `TaskId "…"`.
    fn is_wrapper(&self) -> bool {
        let Some([token, next, ..]) = self.tokens.get(self.at..) else {
            return false;
        };
        let is_letters = |word: &str| word.chars().all(char::is_alphabetic);
        if matches!(next.kind, TokenKind::Text { .. }) {
            return token.kind.content().is_some_and(is_letters);
        }
        token.span.end == next.span.start && matches!(next.kind, TokenKind::Open(_))
    }
}

/// A reader of lines that share brackets, columns and blocks.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    depth: usize,
    /// The class of the name of the whole text.
    class: NameClass,
    root: BracketScope,
    scopes: Vec<BracketScope>,
    table: Option<Table>,
    /// The classes of the last list of names, for the value lists after it: `(id, task_id) VALUES
    /// (1, '…')`, or the rows of an HTML table.
    columns: Vec<NameClass>,
    is_in_html_table: bool,
    block: Option<NameBlock>,
    /// Whether the current section of an INI or TOML file has the name of a secret.
    is_secret_section: bool,
    /// The end of the last line that was not blank.
    previous: String,
    /// The reader of a quoted text that the previous chunk did not end.
    open_quotation: Option<Box<LineReader>>,
}

impl LineReader {
    fn nested(&self, class: NameClass) -> Self {
        Self {
            depth: self.depth + 1,
            class,
            ..Self::default()
        }
    }

    /// Reads a whole text.
    fn read(&mut self, text: &str, found: &mut Findings) {
        for line in text.split('\n') {
            self.read_line(line, true, found);
        }
        self.finish(found);
    }

    /// Reads the deferred values.
    pub(super) fn finish(&mut self, found: &mut Findings) {
        if let Some(mut reader) = self.open_quotation.take() {
            reader.finish(found);
        }
        while let Some(scope) = self.scopes.pop() {
            self.resolve(scope, found);
        }
        self.resolve_root(found);
    }

    /// Reads a line, or a chunk of a long one.
    pub(super) fn read_line(&mut self, raw: &str, is_whole: bool, found: &mut Findings) {
        if self.depth < MAX_DEPTH
            && let Some(unescaped) = unescape_markup(raw)
        {
            self.nested(self.class).read(&unescaped, found);
        }
        let clean = strip_broken_colours(raw);
        let Some(text) = self.continue_quotation(&clean, is_whole, found) else {
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

    /// Continues the quoted text of the previous chunk. Returns the text after it.
    fn continue_quotation<'a>(
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
        reader.read_part(&Quote::JSON.unescape(content), found);
        if rest.is_none() && !is_whole {
            self.open_quotation = Some(reader);
        } else {
            reader.finish(found);
        }
        rest
    }

    /// Reads a part of a text that continues.
    fn read_part(&mut self, content: &str, found: &mut Findings) {
        let text = strip_controls(content);
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            self.read_line(line, lines.peek().is_some(), found);
        }
    }

    fn end_paragraph(&mut self, found: &mut Findings) {
        self.block = self.block.filter(|block| block.is_fresh);
        if !self.is_in_html_table {
            self.columns.clear();
        }
        if self.scopes.is_empty() {
            self.table = None;
            self.resolve_root(found);
        }
    }

    /// Reads a line as a table row. Reports whether it is one.
    fn read_row(&mut self, text: &str, found: &mut Findings) -> bool {
        let cells = match self.table.as_mut().map(|table| table.row(text)) {
            Some(Row::Nothing) => return true,
            Some(Row::Cells(cells)) => Some(cells),
            Some(Row::End) | None => {
                let cells = name_value_pair(text);
                self.table = Table::from_header(text).filter(|_| cells.is_none());
                cells
            }
        };
        for (class, cell) in cells.iter().flatten() {
            self.text_value(*class, cell, text, found);
        }
        cells.is_some() || self.table.is_some()
    }

    fn read_tokens(&mut self, text: &str, is_whole: bool, found: &mut Findings) {
        let indent = text.len() - text.trim_start().len();
        let is_item = text.trim_start().starts_with("- ");
        if is_item && self.scopes.is_empty() {
            self.resolve_root(found);
        }
        self.scope().is_credential_header = false;
        let text = without_block_indicator(text);
        if let Some(section) = section_name(text).filter(|_| self.scopes.is_empty()) {
            self.is_secret_section = classify(section) == Secret;
        }
        let tokens = tokenize(text);
        let mut line = LineState {
            text,
            tokens: &tokens,
            is_in_secret: self.is_secret_section,
            expected: (self.class != Neutral).then_some(self.class),
            ..LineState::default()
        };
        self.begin_block(&mut line, indent, is_item);
        for (at, token) in tokens.iter().enumerate() {
            line.at = at;
            self.token(&mut line, &token.kind, is_whole, found);
        }
        self.end_line(&line, indent, found);
    }

    /// Closes all brackets at a line without indentation, which starts something new.
    fn drop_unclosed_brackets(&mut self, text: &str, found: &mut Findings) {
        let continues =
            |c: char| c.is_whitespace() || matches!(c, '}' | ']' | ')' | '"' | '\'' | ',' | '<');
        while !text.starts_with(continues)
            && let Some(scope) = self.scopes.pop_if(|scope| scope.bracket != Some(HTML_ROW))
        {
            self.resolve(scope, found);
        }
    }

    /// Applies the name at the end of an earlier line to the values of this one.
    fn begin_block(&mut self, line: &mut LineState<'_>, indent: usize, is_item: bool) {
        let Some(mut block) = self.block.take() else {
            return;
        };
        let words: Vec<_> = line.text.split_whitespace().collect();
        let is_nested = indent > block.indent || (is_item && indent >= block.indent);
        let is_lone = words.len() == 1 && !line.text.contains([':', '=', '<']);
        if !is_lone_name(&words) && (block.is_fresh || is_lone || is_nested) {
            line.expected = Some(block.class);
            line.class = block.class;
            line.is_in_secret |= block.class == Secret && indent > block.indent;
            block.is_fresh = false;
            self.block = Some(block);
        }
    }

    /// Saves a name at the end of the line for the lines below, or classifies the words of a line
    /// without names.
    fn end_line(&mut self, line: &LineState<'_>, indent: usize, found: &mut Findings) {
        if self.scopes.is_empty() && !self.columns.is_empty() && self.table.is_none() {
            self.table = Some(Table::with_columns(self.columns.clone()));
        }
        // Includes `token: >-` and `<key>token</key>`.
        let end = line.text.trim_end().trim_end_matches(['-', '+']);
        let class = if line.is_prose {
            let is_name = end.ends_with([':', '=', '：', '|', '>']);
            line.expected.filter(|_| is_name).unwrap_or_default()
        } else if line.unnamed.is_empty()
            && line.words.len() == line.others.len()
            && is_lone_name(&line.words)
        {
            classify_words(&line.words)
        } else {
            Neutral
        };
        if class != Neutral {
            self.block = Some(NameBlock {
                class,
                indent,
                is_fresh: true,
            });
        } else if !self.is_secret() && !line.is_prose {
            self.classify_unnamed(line, found);
        }
    }

    /// Classifies the words of a line without names.
    fn classify_unnamed(&self, line: &LineState<'_>, found: &mut Findings) {
        let are_ids = line.others.iter().all(|word| is_plain_id(word));
        for id in line.unnamed.iter().filter(|_| are_ids) {
            found.add(id, Evidence::Listed, line.text);
        }
        let is_lone = line.others.len() == 1 && line.unnamed.is_empty();
        let is_list = line.text.contains(['"', '\'', ',']) && are_ids;
        for word in &line.others {
            if is_secret_shape(word) {
                found.add_secret(word);
            } else if is_suspicious(word) {
                found.add(word, Evidence::Suspicious, line.text);
            } else if is_list || (is_lone && is_plain_id(word)) {
                found.add(word, Evidence::Listed, line.text);
            } else if self.depth > 0 && !is_plain_id(word) {
                // A number in a quoted sentence is not meant as an id.
            } else if is_lone
                || !line.unnamed.is_empty()
                || word.contains(|c: char| c.is_ascii_digit())
            {
                found.reject(word);
            }
        }
    }

    fn token<'a>(
        &mut self,
        line: &mut LineState<'a>,
        kind: &'a TokenKind<'a>,
        is_whole: bool,
        found: &mut Findings,
    ) {
        match kind {
            TokenKind::Word(word) => self.word(line, word, found),
            TokenKind::Text {
                content,
                is_open: true,
            } if !is_whole && self.depth < MAX_DEPTH => {
                let class = line.expected.take().unwrap_or(line.class);
                let is_secret = self.is_secret();
                let class = if is_secret { Secret } else { class };
                let mut reader = self.nested(class);
                reader.read_part(content, found);
                self.open_quotation = Some(Box::new(reader));
            }
            TokenKind::Text {
                content,
                is_open: true,
            } if line.expected == Some(Task) && is_plain_id(content) && !is_hex_id(content) => {
                // It may be cut off.
                found.add(content, Evidence::Suspicious, line.text);
            }
            TokenKind::Text { content, .. } => self.text(line, content, found),
            TokenKind::Separator => self.separator(line),
            TokenKind::Open(bracket) => self.open(line, *bracket, found),
            TokenKind::Close(_) => self.close(line, found),
            TokenKind::Comma => self.comma(line),
            TokenKind::Break => {
                (line.expected, line.class) = (None, Neutral);
                line.words.clear();
                self.scope().names = None;
            }
            TokenKind::Tag(tag) => self.tag(line, tag, found),
            TokenKind::Template => {
                if line.expected.take() == Some(Task) {
                    let token = line.tokens.get(line.at);
                    let template = token.and_then(|token| line.text.get(token.span.clone()));
                    found.skip(SkipReason::Placeholder, template.unwrap_or_default());
                }
                self.scope().names = None;
            }
        }
    }

    fn scope(&mut self) -> &mut BracketScope {
        self.scopes.last_mut().unwrap_or(&mut self.root)
    }

    /// Reports whether the current text or a bracket around it belongs to a secret.
    fn is_secret(&self) -> bool {
        let is_secret = |scope: &BracketScope| scope.class == Secret;
        self.class == Secret || self.scopes.iter().any(is_secret)
    }

    /// Reports whether a bracket around the current text has the name of a task.
    fn is_task(&self) -> bool {
        let is_task = |scope: &BracketScope| scope.class == Task;
        self.scopes.iter().any(is_task)
    }

    /// Classifies the name before a separator.
    fn separator(&mut self, line: &mut LineState<'_>) {
        self.scope().names = None;
        let words = std::mem::take(&mut line.words);
        let Some(name) = words.last() else {
            return;
        };
        let mut class = classify_words(&words);
        let is_quoted = matches!(line.previous(), Some(TokenKind::Text { .. }));
        if class == Secret && !is_quoted && is_credential_header(name) {
            self.scope().is_credential_header = true;
        }
        // A complete task name still counts, because some names only look like those of secrets.
        let is_secret = self.is_secret()
            || self.scope().is_credential_header
            || line.is_in_secret
            || (class == Neutral && mentions_secret(&words));
        let is_value = class == Neutral && is_value_slot(name);
        if is_secret && class != Task {
            class = Secret;
        } else if is_value && self.scope().slot != Neutral {
            class = self.scope().slot;
        } else if is_value && self.is_task() {
            class = Task;
        } else if class == Neutral && is_id_word(name) && self.scope().class == Foreign {
            // `"user": {"id": …}`.
            class = Foreign;
        }
        line.field = name;
        line.expected = Some(class);
        line.class = class;
        line.is_prose = true;
    }

    fn open(&mut self, line: &mut LineState<'_>, bracket: char, found: &mut Findings) {
        self.scope().names = None;
        if self.scopes.len() >= MAX_SCOPES {
            let oldest = self.scopes.remove(0);
            self.resolve(oldest, found);
        }
        // `variable "api_key" { default = … }`.
        let label = line
            .previous()
            .and_then(TokenKind::content)
            .filter(|label| bracket == '{' && is_decisive_name(label));
        let class = line.expected.take().or_else(|| label.map(classify));
        self.scopes.push(BracketScope {
            bracket: Some(bracket),
            class: class.unwrap_or_default(),
            names: (bracket != '{').then(Vec::new),
            ..BracketScope::default()
        });
        line.words.clear();
        line.class = Neutral;
        line.is_prose |= bracket == '{';
    }

    fn close(&mut self, line: &mut LineState<'_>, found: &mut Findings) {
        let mut scope = self.scopes.pop().unwrap_or_default();
        let names = scope.names.take().unwrap_or_default();
        if names.len() > 1 && names.iter().any(|class| class.is_heading()) {
            found.names_tasks |= names.contains(&Task);
            self.columns = names;
        }
        (line.expected, line.class) = (None, Neutral);
        line.words.clear();
        match (scope.bracket, line.next()) {
            // `["taskId"] =>`, `headers['Authorization'] =`.
            (Some('['), Some(TokenKind::Separator)) => line.words.extend(line.bracketed()),
            // A type before the value: `string(32) "…"`, `(string) (len=32) "…"`.
            (Some('('), Some(TokenKind::Text { .. } | TokenKind::Open('(')))
                if scope.class != Neutral =>
            {
                line.expected = Some(scope.class);
            }
            _ => {}
        }
        self.resolve(scope, found);
    }

    fn comma(&mut self, line: &mut LineState<'_>) {
        line.expected = None;
        line.words.clear();
        self.scope().commas += 1;
    }

    /// Reads a tag: its attributes, and the name it gives to the text after it.
    fn tag(&mut self, line: &mut LineState<'_>, tag: &str, found: &mut Findings) {
        let inner = tag.trim_start_matches('/');
        let is_closing = inner.len() < tag.len();
        let (name, attributes) = inner
            .split_once(char::is_whitespace)
            .unwrap_or((inner.trim_end_matches('/'), ""));
        let name = name.rsplit(':').next().unwrap_or(name);
        let before = classify_words(&line.words);
        let is_in_row = self.scope().bracket == Some(HTML_ROW);
        line.is_prose = true;
        match name.to_lowercase().as_str() {
            "table" => {
                self.columns.clear();
                self.is_in_html_table = !is_closing;
                return;
            }
            "tr" | "row" | "table-row" => {
                if is_in_row {
                    self.close(line, found);
                }
                line.expected = None;
                if !is_closing {
                    self.open(line, HTML_ROW, found);
                }
                return;
            }
            "td" | "th" | "cell" | "table-cell" if is_closing => {
                found.names_tasks |= before == Task;
                self.comma(line);
                // The cell may name the next one.
                self.scope().element = before;
                return;
            }
            _ => {}
        }
        let is_named = before.is_heading() && !is_in_row;
        if is_named {
            line.expected = Some(before);
            line.words.clear();
        }
        let mut class = Neutral;
        if !attributes.trim().is_empty() && self.depth < MAX_DEPTH {
            let mut reader = self.nested(self.class);
            reader.scopes.push(BracketScope {
                bracket: Some('{'),
                // `<label>API key</label><input value="…">`.
                slot: line.expected.unwrap_or_default(),
                ..BracketScope::default()
            });
            reader.read_tokens(attributes, true, found);
            // `<string name="api_key">…</string>`.
            class = reader.scope().slot;
            reader.finish(found);
        }
        if !is_name_slot(name) {
            // `<taskId>…</taskId>`.
            class = class.or(classify(name));
        }
        let is_formatting = is_in_row || FORMATTING.has(name);
        line.expected = match line.expected {
            expected if is_formatting => expected,
            expected if is_closing => expected.filter(|_| is_named),
            Some(Task) if line.previous() == Some(&TokenKind::Separator) => {
                found.skip(SkipReason::Placeholder, tag);
                None
            }
            _ if tag.ends_with('/') => None,
            expected if class == Neutral => expected,
            _ => Some(class),
        };
        line.class = line.expected.unwrap_or_default();
    }

    /// Reads the deferred values outside all brackets.
    fn resolve_root(&mut self, found: &mut Findings) {
        let root = std::mem::take(&mut self.root);
        self.resolve(root, found);
    }

    /// Reads the deferred values of an object.
    fn resolve(&mut self, scope: BracketScope, found: &mut Findings) {
        let is_secret = scope.class == Secret;
        let class = if is_secret { Secret } else { scope.slot };
        for content in scope.deferred {
            self.text_value(class, &content, &content, found);
        }
    }

    /// Reads a word: part of a name, a value, or a word of a sentence.
    fn word<'a>(&mut self, line: &mut LineState<'a>, word: &'a str, found: &mut Findings) {
        let trimmed = word.trim_matches(['.', '/', '+', '@']);
        let is_value = is_hex_id(trimmed) || (line.expected == Some(Task) && is_plain_id(trimmed));
        if line.next() == Some(&TokenKind::Separator) && !is_value {
            let name = word.rsplit('/').next().unwrap_or(word);
            let parts = name.split('.').filter(|part| !part.is_empty());
            line.words.extend(parts);
            return;
        }
        let is_number = trimmed.len() < 4 && trimmed.bytes().all(|b| b.is_ascii_digit());
        let is_start = line.words.is_empty() && line.expected.is_none() && self.scopes.is_empty();
        self.track_name(line, word);
        if !word.contains(char::is_alphanumeric) || (is_number && is_start) {
            return;
        }
        let element = std::mem::take(&mut self.scope().element);
        // A cell without a digit may be the header of a column.
        let is_header =
            self.scope().bracket == Some(HTML_ROW) && !word.contains(|c: char| c.is_ascii_digit());
        let class = line.expected.or_else(|| self.class_of_element(element));
        let Some(class) = class.filter(|_| !is_header) else {
            return self.unnamed_word(line, word, found);
        };
        if (class == Secret && precedes_secret(word)) || (class != Neutral && line.is_wrapper()) {
            return;
        }
        line.expected = None;
        let field = std::mem::take(&mut line.field);
        if self.slot_name(field, word, found)
            || (class == Neutral && is_id_shape(trimmed) && self.try_defer(field, trimmed))
        {
            return;
        }
        match class {
            Secret => found.add_secret(word),
            Task => add_named(values::unquoted(trimmed), word, line.text, found),
            Foreign if is_id_shape(trimmed) => found.skip(SkipReason::Foreign, trimmed),
            Foreign | Neutral => self.unnamed_word(line, word, found),
        }
    }

    /// Tracks a list of names only, whose classes apply to the value lists after it.
    fn track_name(&mut self, line: &LineState<'_>, content: &str) {
        let is_name = content.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && content.len() <= MAX_NAME
            && !is_id_shape(content)
            && !content.contains(['=', ':', '/', '"', '\'']);
        let scope = self.scope();
        // The header of an HTML column may have several words.
        let is_next = |names: &Vec<NameClass>| {
            names.len() == scope.commas
                || (scope.bracket == Some(HTML_ROW) && names.len() == scope.commas + 1)
        };
        scope.names = scope.names.take().filter(|names| is_name && is_next(names));
        if let Some(names) = &mut scope.names {
            names.truncate(scope.commas);
            names.push(classify_words(
                &[line.words.as_slice(), &[content]].concat(),
            ));
        }
    }

    /// Returns the class of a list element without a name.
    fn class_of_element(&mut self, element: NameClass) -> Option<NameClass> {
        if self.is_secret() {
            return Some(Secret);
        }
        let scope = self.scope();
        let (class, at) = (scope.class, scope.commas);
        let is_row = matches!(scope.bracket, Some('(' | '[' | HTML_ROW));
        let column = self.columns.get(at).filter(|_| is_row).copied();
        let class = element.or(class).or(column.unwrap_or_default());
        (class != Neutral).then_some(class)
    }

    /// Applies the value of a `"name"` field to the value beside it. Reports whether it was a name.
    fn slot_name(&mut self, field: &str, value: &str, found: &mut Findings) -> bool {
        if !is_name_slot(field) || is_hex_id(value) || is_plain_id(value) || value.len() > MAX_NAME
        {
            return false;
        }
        let class = classify(value);
        found.names_tasks |= class == Task;
        let scope = self.scope();
        if class != Neutral {
            scope.slot = class;
            for content in std::mem::take(&mut scope.deferred) {
                self.text_value(class, &content, &content, found);
            }
        }
        true
    }

    /// Defers the value of an object until its name comes. Reports whether it did.
    fn try_defer(&mut self, field: &str, value: &str) -> bool {
        let scope = self.scope();
        let is_deferred = is_value_slot(field)
            && matches!(scope.bracket, None | Some('{'))
            && scope.deferred.len() < MAX_DEFERRED;
        if is_deferred {
            scope.deferred.push(value.to_owned());
        }
        is_deferred
    }

    /// Reads a word without a name directly before it.
    fn unnamed_word<'a>(&mut self, line: &mut LineState<'a>, word: &'a str, found: &mut Findings) {
        let mut has_id = false;
        for (piece, is_file) in pieces(word) {
            has_id |= is_id_shape(piece);
            if is_id_shape(piece) && !is_file {
                self.unnamed_id(line, piece, found);
            }
        }
        if has_id {
            return;
        }
        let trimmed = word.trim_matches(['.', '/', '+', '@']);
        if is_plain_id(trimmed) {
            let class = classify_words(&line.words);
            if class == Task || line.class == Task {
                return add_named(values::unquoted(trimmed), word, line.text, found);
            }
            if class == Secret || self.is_secret() {
                return found.add_secret(trimmed);
            }
        }
        if line.class != Task && !precedes_secret(word) {
            line.class = Neutral;
        }
        line.others.push(trimmed);
        if line.words.len() == MAX_WORDS {
            line.words.remove(0);
        }
        line.words.push(word);
        found.names_tasks = found.names_tasks || classify_words(&line.words) == Task;
    }

    /// Reads a word with the shape of an id, without a name directly before it.
    fn unnamed_id<'a>(&mut self, line: &mut LineState<'a>, id: &'a str, found: &mut Findings) {
        let class = if self.is_secret() || self.scope().is_credential_header {
            Secret
        } else {
            match (line.class, classify_sentence(&line.words)) {
                (Neutral, Neutral) if self.is_task() => Task,
                (Neutral, class) | (_, class @ Secret) | (class, _) => class,
            }
        };
        line.words.clear();
        if class != Neutral {
            line.class = class;
        }
        match class {
            Secret => found.add_secret(id),
            Foreign => found.skip(SkipReason::Foreign, id),
            Task => found.add(id, Evidence::Named, line.text),
            Neutral if self.follows_secret_name(line) => found.add_secret(id),
            Neutral => {
                line.unnamed.push(id);
                found.add(id, Evidence::Shape, line.text);
            }
        }
    }

    /// Reports whether the text before a value ends with the name of a secret.
    ///
    /// A second check for values without a name, because unmatched quotes may hide the name from
    /// the tokenizer.
    fn follows_secret_name(&self, line: &LineState<'_>) -> bool {
        let before = line.before();
        ends_with_secret_name(last_chars(before, MAX_NAME))
            || (!before.contains(char::is_alphanumeric) && ends_with_secret_name(&self.previous))
    }

    /// Reads quoted text: a name, a value, or an element of a list.
    fn text<'a>(&mut self, line: &mut LineState<'a>, content: &'a str, found: &mut Findings) {
        let next = line.next();
        if next == Some(&TokenKind::Separator) && content.len() <= MAX_NAME && !is_hex_id(content) {
            line.words = vec![content];
            return;
        }
        self.track_name(line, content);
        let expected = line.expected.take();
        let field = std::mem::take(&mut line.field);
        let is_name = is_decisive_name(content);
        found.names_tasks |= is_name && classify(content) == Task;
        let scope = self.scope();
        let element = std::mem::take(&mut scope.element);
        if expected.is_none() && is_name && scope.class == Neutral {
            // The name of the next element.
            scope.element = classify(content);
            return;
        }
        let class = expected
            .or_else(|| self.class_of_element(element))
            .unwrap_or_else(|| match classify_sentence(&line.words) {
                Task if is_plain_id(content) => Task,
                Secret => Secret,
                Task | Foreign | Neutral if is_id_shape(content) && self.is_task() => Task,
                Task | Foreign | Neutral => Neutral,
            });
        if expected.is_some()
            && (self.slot_name(field, content, found)
                || (class == Neutral && self.try_defer(field, content)))
        {
            return;
        }
        let is_item =
            expected.is_none() && class == Neutral && is_single_word(content) && !line.is_prose;
        match is_id_shape(content) {
            true if is_item => self.unnamed_id(line, content, found),
            false if is_item => line.others.push(content),
            _ => self.text_value(class, content, line.text, found),
        }
    }

    /// Reads a text value by the class of its name.
    fn text_value(&mut self, class: NameClass, content: &str, line: &str, found: &mut Findings) {
        let is_secret = self.is_secret() && class != Task;
        let class = if is_secret { Secret } else { class };
        let is_single = is_single_word(content);
        let content = content.trim();
        // `'"33a6…"'`, `W/"33a6…"`.
        let bare = content.trim_start_matches("W/").trim_matches(['"', '\'']);
        match class {
            Secret => found.add_secret(content),
            Task if is_single => {
                add_named(values::quoted(content), content, line, found);
            }
            Foreign if is_id_shape(bare) || is_plain_id(bare) => {
                found.skip(SkipReason::Foreign, bare);
            }
            Neutral if is_single && is_id_shape(content) => {
                found.add(content, Evidence::Shape, line);
            }
            Task | Foreign | Neutral if !is_single && self.depth < MAX_DEPTH => {
                let is_task = class == Task;
                let class = if is_task { class } else { Neutral };
                self.nested(class).read(&strip_controls(content), found);
            }
            Task | Foreign | Neutral => {}
        }
    }
}

/// Removes a YAML block indicator from a line, as in `key: |` or `key: !tag >-`.
fn without_block_indicator(text: &str) -> &str {
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

/// Returns the section name of a line such as `[credentials]`.
fn section_name(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let name = name.trim_matches(['[', ']']);
    (!name.is_empty() && !is_hex_id(name) && name.chars().all(is_name)).then_some(name)
}

/// Reports whether a line is just the name of a task id or of a secret.
fn is_lone_name(words: &[&str]) -> bool {
    words.len() <= 3 && classify_words(words).is_heading()
}

/// Adds a value with the name of a task id.
fn add_named(value: NamedValue, word: &str, line: &str, found: &mut Findings) {
    match value {
        NamedValue::Id(id) => found.add(id.as_str(), Evidence::Named, line),
        NamedValue::Placeholder => found.skip(SkipReason::Placeholder, word),
    }
}

/// Returns the pieces of a word that could be ids, and whether each is part of a file name or link.
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

fn last_chars(text: &str, count: usize) -> &str {
    let start = text.char_indices().rev().nth(count).map_or(0, |(at, _)| at);
    text.get(start..).unwrap_or(text)
}
