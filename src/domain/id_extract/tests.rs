//! Ids in text that people pipe and paste, and values that are never ids.

use super::*;

const A: &str = "774d9a7dd608a0e49293903095e45a4c";
const B: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";
const C: &str = "f782018c-6be4-4990-96ba-7231cd5a39e7";
const LUMA: &str = "luma_task_9f3a77";
const KEY: &str = "9c0de1aa5b7f4e12a3d4c5b6e7f80912";

/// Returns the ids that `add -` would add, and checks that the chunk size makes no difference.
fn ids(text: &str) -> Vec<String> {
    let found = extract(text, &KnownSecrets::default());
    let whole: Vec<_> = certain_ids(&found.ids).map(ToString::to_string).collect();
    for size in [1, 7, 4096] {
        let mut extractor = IdExtractor::new(&KnownSecrets::default());
        let mut parts = Vec::new();
        for chunk in text.as_bytes().chunks(size) {
            parts.extend(extractor.push(chunk));
        }
        parts.extend(extractor.finish());
        let parts: Vec<_> = certain_ids(&parts).map(ToString::to_string).collect();
        assert_eq!(parts, whole, "in chunks of {size}: {text}");
    }
    whole
}

fn assert_ids(cases: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let text = text
            .replace("KEY", KEY)
            .replace("<A>", A)
            .replace("<B>", B)
            .replace("<C>", C)
            .replace("<L>", LUMA);
        let found = ids(&text);
        if found != *expected {
            wrong.push(format!("{text}\n  found {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lists_are_read_with_any_decoration() {
    assert_ids(&[
        ("<A>", &[A]),
        ("<A> <B>\n<A>", &[A, B]),
        ("1. <A>, 2. <B>;", &[A, B]),
        ("- <A>\n* <B>\n• <L>\n", &[A, B, LUMA]),
        ("[\"<A>\", '<B>']", &[A, B]),
        ("[\n  \"<A>\",\n  \"<L>\"\n]", &[A, LUMA]),
        ("<L>\r\n", &[LUMA]),
        ("<C>", &[C]),
        ("<A>,<B>,<C>", &[A, B, C]),
        (
            "1) <A>\n3. <L>\n#4 867283741759111202",
            &[A, LUMA, "867283741759111202"],
        ),
        ("['<A>', '867283741759111202']", &[A, "867283741759111202"]),
        ("`<A>`", &[A]),
        ("task_id\nveo_task_1\nabcd1234", &["veo_task_1", "abcd1234"]),
    ]);
}

#[test]
fn field_names_identify_ids() {
    assert_ids(&[
        (r#"{"code":200,"data":{"taskId":"<A>"}}"#, &[A]),
        (r#"{\"taskId\":\"<A>\"}"#, &[A]),
        (r#"{"taskIds":["<A>","<L>"]}"#, &[A, LUMA]),
        ("task_id = <B>", &[B]),
        ("TASKID = \"x1\"", &["x1"]),
        (r#"{"taskId": "veo_task_abcdef"}"#, &["veo_task_abcdef"]),
        (r#"{"taskId": 867283741759111202}"#, &["867283741759111202"]),
        (
            "https://x/y?taskId=a1&task_id=a2#taskId=a3",
            &["a1", "a2", "a3"],
        ),
        ("https://x/?next=%2Fy%3FtaskId%3D<A>%26x%3D1", &[A]),
        ("{:task_id=>\"<L>\"}", &[LUMA]),
        (
            "array(1) {\n  [\"taskId\"]=>\n  string(32) \"<A>\"\n}",
            &[A],
        ),
        ("Array\n(\n    [taskId] => <A>\n)", &[A]),
        ("map[taskId:<A> state:x]", &[A]),
        ("Task { task_id: Some(\"<A>\"), state: Running }", &[A]),
        ("created task_id=UUID('<C>')", &[C]),
        ("Task(taskId=<A>, state=SUCCESS)", &[A]),
        ("taskId->a1b2c3d4", &["a1b2c3d4"]),
        ("this.taskId = '<A>'", &[A]),
        ("response.data.taskId: <A>", &[A]),
        ("kie_task_id: <L>", &[LUMA]),
        ("recordId=<A>", &[A]),
        ("任务ID：<A>", &[A]),
        ("export TASK_ID=\"<A>\"", &[A]),
        ("kietop wait --task-id <L>", &[LUMA]),
        (r#"{"pinData":{"keys":{"data":{"taskId":"<A>"}}}}"#, &[A]),
        ("worker: submitted taskId=<L>", &[LUMA]),
        ("VEO_TASK_ID=<L>", &[LUMA]),
        ("last_task_id: <L>", &[LUMA]),
        ("\"Env\": [\"PATH=/bin\", \"TASK_ID=<A>\"]", &[A]),
        ("TaskID: (string) (len=16) \"<L>\",", &[LUMA]),
        ("Task {taskId = TaskId \"<L>\"}", &[LUMA]),
        (" $ taskId : chr \"<A>\"", &[A]),
        ("%{\"data\" => %{\"taskId\" => \"<L>\"}}", &[LUMA]),
        (r#"{"taskId":{"S":"<A>"},"x":{"S":"<B>"}}"#, &[A]),
        (
            r#"{"Task ID":{"id":"x","rich_text":[{"text":{"content":"<A>"}}]}}"#,
            &[A],
        ),
        ("<taskId><![CDATA[<L>]]></taskId>", &[LUMA]),
        (
            "<taskId>\n<property name=\"taskId\"><L></property>",
            &[LUMA],
        ),
        ("msg=\"submitted \\\"cat\\\"\" taskId=\"<L>\"", &[LUMA]),
        ("Die Task-ID lautet <A>", &[A]),
    ]);
}

#[test]
fn field_names_may_be_several_words() {
    assert_ids(&[
        ("Task ID: veo_task_abcdef123", &["veo_task_abcdef123"]),
        (
            "Task Id = 867283741759111202 (submitted)",
            &["867283741759111202"],
        ),
        ("task-id: <L>", &[LUMA]),
        (
            "<response><taskId>x9y8z7w6v5</taskId></response>",
            &["x9y8z7w6v5"],
        ),
        ("the task id is <A>", &[A]),
        ("taskId=<A>\ncreated <B> ok", &[A, B]),
        ("Task ID\n<A>", &[A]),
        ("| Task ID | State |\n|---|---|\n| <L> | ok |", &[LUMA]),
        ("<dt>Task ID</dt><dd><L></dd>", &[LUMA]),
        ("<b>Task ID:</b> <code><L></code>", &[LUMA]),
        ("Task IDs: <A>, <B>", &[A, B]),
        ("\"Task ID\": \"<L>\"", &[LUMA]),
    ]);
}

#[test]
fn a_value_ends_with_its_syntax() {
    assert_ids(&[
        ("Submitted, taskId=<A>.", &[A]),
        ("the taskId: `<A>` is stuck?", &[A]),
        ("- **taskId:** <A>", &[A]),
        ("taskId=<A>|status=ok", &[A]),
        ("taskId=<A>: done!", &[A]),
        ("it says taskId=<A>… and", &[A]),
        ("(see task_id=<L>).", &[LUMA]),
        ("taskId=<A>;x", &[A]),
        ("«taskId=<A>»", &[A]),
        ("<https://x.test/?taskId=<A>|details>", &[A]),
        ("[details](https://x.test/?taskId=<A>)", &[A]),
        ("taskId=<L>!!", &[LUMA]),
    ]);
}

#[test]
fn placeholder_values_are_ignored() {
    assert_ids(&[
        ("INFO submitting, task_id=None", &[]),
        ("state: { taskId: undefined, status: 'idle' }", &[]),
        ("task_id=nil taskId=NULL", &[]),
        ("record-info?taskId=YOUR_TASK_ID", &[]),
        ("fetch(`${base}/record-info?taskId=${taskId}`)", &[]),
        (
            "\"=https://x/record-info?taskId={{ $json.data.taskId }}\"",
            &[],
        ),
        ("  taskId: string;", &[]),
        ("task_id: Optional[str] = None", &[]),
        ("taskId?: string", &[]),
        ("taskId=<task_id>", &[]),
        ("curl x?taskId=$TASK_ID", &[]),
        ("task_id=task_id, taskId: response.data.taskId,", &[]),
        ("\"taskId\": \"string\"", &[]),
        ("\"taskId\": null, \"taskId\": \"\"", &[]),
        ("taskId=%s taskId={} taskId=xxxxxxxx", &[]),
        ("taskId: 00000000-0000-0000-0000-000000000000", &[]),
        ("taskId", &[]),
        ("taskId=", &[]),
        ("def poll(task_id: str, timeout: int = 600):", &[]),
        ("const { taskId } = await create();", &[]),
    ]);
}

#[test]
fn ids_of_other_things_are_left_out() {
    assert_ids(&[
        (
            r#"{"task_id":"867283741759111202","task_info":{"external_task_id":"text_probe_1"},"parentTaskId":"batch-2025-08"}"#,
            &["867283741759111202"],
        ),
        (
            r#"{"nodes":[{"id":"<C>","webhookId":"<B>"}],"data":{"taskId":"<A>"}}"#,
            &[A],
        ),
        (r#"{"data":{"taskId":"<A>"},"versionId":"<C>"}"#, &[A]),
        (r#"x?taskId={{ $json.taskId }} {"id":"<C>"}"#, &[]),
        ("Parent Task ID: <B>\nTask ID: <A>", &[A]),
        ("X-Request-Id: <B>\ntaskId=<A>", &[A]),
        ("etag: \"<B>\"", &[]),
        ("traceparent: 00-<B>-00f067aa0ba902b7-01", &[]),
        ("request_id=<B>", &[]),
        ("commit <B>", &[]),
        ("https://t.example/l/<C>.mp4", &[]),
        ("https://t.example/l/<A>.mp4 is of <A>", &[A]),
        ("GET /tasks/<A> 200", &[A]),
        (r#"{"id":"<A>","user":{"id":"<C>"}}"#, &[A]),
        ("{'ETag': '\"<B>\"', 'taskId': '<A>'}", &[A]),
        ("[request_id] => <B>", &[]),
        ("subtaskId: <B> sub_task_id: <C>", &[]),
        (
            r#"{"headers":[{"name":"X-Request-Id","value":"<B>"}],"q":[{"name":"taskId","value":"<A>"}]}"#,
            &[A],
        ),
    ]);
}

#[test]
fn unnamed_values_are_judged_by_shape() {
    assert_ids(&[
        ("I made <A> this morning", &[A]),
        (r#"{"id":"<A>","status":"ok"}"#, &[A]),
        (r#"{"id":"<A>","status":"ok","taskId":null}"#, &[]),
        ("see <A> and taskId=<B>", &[B]),
        ("task: <L>", &[LUMA]),
        ("see the task id of <A> in 3", &[A]),
        ("<A> is it (task id)", &[]),
        (
            "CREATE TABLE t (\n  `task_id` text);\nINSERT INTO t VALUES ('<A>','<B>');",
            &[],
        ),
        ("SELECT * FROM jobs WHERE id = '<A>';", &[A]),
        ("taskId=<B>\n<A>", &[B, A]),
    ]);
    let found = extract(&format!("see {A} and taskId={B}"), &KnownSecrets::default());
    let certainties: Vec<_> = found.ids.iter().map(|found| found.certainty).collect();
    assert_eq!(certainties, [Certainty::Unnamed, Certainty::Certain]);
}

#[test]
fn control_sequences_do_not_hide_an_id() {
    assert_ids(&[
        (
            "\u{1b}[36m[kie]\u{1b}[0m Task ID: \u{1b}[32m<A>\u{1b}[39m",
            &[A],
        ),
        (
            "\u{1b}[1mcreated\u{1b}[0m \u{1b}[1;93m<B>\u{1b}[0m ok",
            &[B],
        ),
        ("  taskId: \u{1b}[32m'<L>'\u{1b}[39m,", &[LUMA]),
        (
            "{\"log\":\"\\u001b[32mtaskId\\u001b[0m=\\u001b[36m<L>\\u001b[0m\\n\"}",
            &[LUMA],
        ),
        ("[32mtaskId[0m=[36m<A>[0m", &[A]),
        ("task\u{1b}[0mId=\u{200b}<A>\u{feff}", &[A]),
    ]);
}

#[test]
fn secrets_are_never_ids() {
    let formats = [
        "$ curl -v 'https://api.kie.ai/api/v1/modify/record-info?taskId=<A>' \\\n  -H 'Authorization: Bearer KEY'\n> authorization: Bearer KEY\n",
        "KIE_API_KEY=KEY\nTASK_ID=<A>\n",
        "export KIE_KEY='KEY'\nexport TASK_ID='<A>'\n",
        "kie:\n  api_key: KEY\n  keys:\n    - KEY\ntasks:\n  - task_id: <A>\n",
        "{'taskId': '<A>', 'headers': {'Authorization': 'Bearer KEY'}}",
        "http GET api.kie.ai/x taskId==<A> Authorization:\"Bearer KEY\" X-Api-Key:KEY",
        "http -A bearer -a KEY api.kie.ai/x taskId==<A>",
        "curl -u KEY: 'https://api.kie.ai/x?taskId=<A>'",
        "task_id,api_key,note\n<A>,KEY,x\n",
        "id;token\nx;KEY\n\ntaskId=<A>",
        "<table><tr><th>Task ID</th><th>API key</th></tr><tr><td><A></td><td>KEY</td></tr></table>",
        "<meta name=\"csrf-token\" content=\"KEY\"><input name=\"taskId\" value=\"<A>\">",
        r#"{"log":{"entries":[{"request":{"headers":[{"name":"authorization","value":"Bearer KEY"}],"cookies":[{"name":"JSESSIONID","value":"KEY"}],"queryString":[{"name":"taskId","value":"<A>"}]}}]}}"#,
        r#"{"auth":{"type":"bearer","bearer":[{"key":"token","value":"KEY","type":"string"}]},"variable":[{"key":"taskId","value":"<A>"},{"value":"KEY","key":"KIE_API_KEY"}]}"#,
        r#"{"assignments":[{"id":"x","name":"apiKey","value":"KEY"},{"id":"y","name":"taskId","value":"<A>"}]}"#,
        "{\"level\":\"info\",\"token\":\"KEY\"}\n{\"level\":\"\u{1b}[32minfo\u{1b}[0m\",\"taskId\":\"<A>\"}\n",
        "authorization\nBearer KEY\ntaskId\n<A>\n",
        "Authorization:\n  Bearer KEY\ntaskId: <A>",
        "Cookie: a=KEY; b=KEY\ntaskId=<A>",
        "my key is KEY and the task id is <A>",
        "[[\"Authorization\",\"Bearer KEY\"],[\"taskId\",\"<A>\"]]",
        "xhr.setRequestHeader('Authorization', 'Bearer KEY'); f.append(\"taskId\", \"<A>\")",
        "rawHeaders: [ 'Authorization', 'Bearer KEY', 'X-Task-Id', '<A>' ]",
        "https://user:KEY@host.test/x?taskId=<A>&access_token=KEY&sig=KEY",
        "%7B%22taskId%22%3A%22<A>%22%2C%22token%22%3A%22KEY%22%7D",
        "{&quot;taskId&quot;:&quot;<A>&quot;,&quot;apiKey&quot;:&quot;KEY&quot;}",
        "{\"body\":\"{\\\"taskId\\\":\\\"<A>\\\",\\\"key\\\":\\\"KEY\\\"}\"}",
        "5\" screen, key=\"KEY\" taskId=<A>",
        "taskId=<A>\nKEY\nAuthorization: Bearer KEY\n",
        "taskId=KEY taskId=<A> Authorization: Bearer KEY",
        "Authorization: Digest username=\"KEY\", nonce=\"KEY\", opaque=\"KEY\"\ntaskId=<A>",
        "headers={Authorization: Bearer KEY, X-Key: KEY} taskId=<A>",
        "password KEY\nsecret: [KEY, KEY]\ntaskId=<A>",
        "<apiKey>KEY</apiKey><taskId><A></taskId>",
        "key,value\nAuthorization,KEY\ntaskId,<A>",
        // The value before its name.
        "env:\n- value: KEY\n  name: API_TOKEN\n- value: <A>\n  name: TASK_ID\n",
        "parameters:\n  - name: taskId\n    example: <A>\n  - name: X-API-Key\n    example: KEY\n",
        // A name on a block, in a bracket, beside or above the value.
        "variable \"api_key\" {\n  default = \"KEY\"\n}\nvariable \"task_id\" {\n  default = \"<A>\"\n}\n",
        "os.environ[\"API_TOKEN\"] = \"KEY\"\nparams['taskId'] = '<A>'\n",
        "ENV[\"API_TOKEN\"] ||= \"KEY\"\ntask_id ||= \"<A>\"",
        "object(Task)#3 (2) {\n  [\"taskId\":protected]=>\n  string(32) \"<A>\"\n  [\"apiKey\":\"Task\":private]=>\n  string(32) \"KEY\"\n}",
        "HSET \"x\" \"taskId\" \"<A>\" \"token\" \"KEY\"",
        "1) \"taskId\"\n2) \"<A>\"\n3) \"token\"\n4) \"KEY\"\n",
        "token: >-\n  KEY\ntask_id: <A>",
        "┃ Task ID ┃ Token ┃\n┡━━━━━━━━━╇━━━━━━━┩\n│ <A> │ KEY │\n└───┴───┘",
        "||Task ID||Token||\n|<A>|KEY|",
        "{| class=\"x\"\n! Task ID !! Token\n|-\n| <A> || KEY\n|}",
        "| Task ID | <A> |\n|---|---|\n| Token | KEY |",
        "taskId,<A>\ntoken,KEY\n",
        "taskId                           state token\n------                           ----- ------\n<A> ok    KEY\n",
        "task_id,token\n<A>,KEY,extra\n",
        // Names in one list, values in the next.
        "{\"columns\":[\"id\",\"task_id\",\"token\"],\"data\":[[1,\"<A>\",\"KEY\"]]}",
        "[[\"Task ID\",\"Token\"],[\"<A>\",\"KEY\"]]",
        "INSERT INTO t (id, task_id, token) VALUES (1, '<A>', 'KEY');",
        "COPY public.t (id, task_id, token, x) FROM stdin;\n1\t<A>\tKEY\tok\n\\.\n",
        // HTML and XML.
        "<table><tr><th>Task ID</th><td><A></td></tr><tr><th>Token</th><td>KEY</td></tr></table>",
        "<table><tr><td><b>Name</b></td><td><b>Task ID</b></td><td><b>Token</b></td></tr><tr><td>x</td><td><A></td><td>KEY</td></tr></table>",
        "<key>taskId</key>\n<string><A></string>\n<key>token</key>\n<string>KEY</string>",
        "<label for=\"k\">Token</label><input id=\"k\" value=\"KEY\"><string name=\"task_id\"><A></string>",
        "u=https%253A%252F%252Fx%253FtaskId%253D<A>%2526token%253DKEY",
    ];
    let mut wrong = Vec::new();
    for format in formats {
        let text = format.replace("KEY", KEY).replace("<A>", A);
        // Variable names contain `KEY` too.
        let text = text
            .replace(&format!("API_{KEY}"), "API_KEY")
            .replace(&format!("KIE_{KEY}"), "KIE_KEY");
        if ids(&text) != [A] {
            wrong.push(format!("{text}\n  found {:?}", ids(&text)));
            continue;
        }
        let found = extract(&text, &KnownSecrets::default());
        assert_eq!(found.skipped.secrets, 1, "{text}");
        assert!(!format!("{found:?}").contains(KEY), "{found:?}");
        assert!(
            found.ids.iter().all(|found| found.id.as_str() == A),
            "{found:?}"
        );

        let utf16: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut extractor = IdExtractor::new(&KnownSecrets::default());
        let mut found = extractor.push(&utf16);
        found.extend(extractor.finish());
        assert_eq!(
            certain_ids(&found).map(TaskId::as_str).collect::<Vec<_>>(),
            [A]
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn secrets_without_task_names_are_never_ids() {
    let texts = [
        "[credentials]\nkie = \"KEY\"\n",
        "[secrets]\nkie=KEY",
        "credentials:\n  kie: KEY\n",
        "secret: &anchor KEY",
        "secret: !!str KEY",
        "secret: !vault |\n  KEY",
        "api_key: >-\n  KEY",
        "env:\n- value: KEY\n  name: API_KEY",
        "<dict><key>apiKey</key><string>KEY</string></dict>",
        "<dict>\n<key>apiKey</key>\n<string>KEY</string>\n</dict>",
        "<label>API key</label><input value=\"KEY\">",
        "| API key |\n|---|\n| KEY |",
        "(b'x-api-key', b'KEY')",
        "Here is the key for kie: KEY",
        "Passwort: KEY",
        "mot de passe : KEY",
        "contraseña: KEY",
        "senha=KEY",
        "ключ API: KEY",
        "API密钥：KEY",
        "密码：KEY",
        "APIキー: KEY",
        "パスワード：KEY",
        "비밀번호: KEY",
        "mysql -pKEY",
        "sk-KEY",
        "ghp_KEY",
    ];
    let mut wrong = Vec::new();
    for text in texts {
        let text = text
            .replace("KEY", KEY)
            .replace(&format!("API_{KEY}"), "API_KEY");
        for text in [text.clone(), format!("{text}\n\ntaskId: {A}\n")] {
            let found = extract(&text, &KnownSecrets::default());
            if found.skipped.secrets != 1 || format!("{found:?}").contains(KEY) {
                wrong.push(format!("{text}\n  found {found:?}"));
            }
            if text.contains(A) && ids(&text) != [A] {
                wrong.push(format!("{text}\n  found {:?}", ids(&text)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let found = extract(&format!("ETag: W/\"{KEY}\""), &KnownSecrets::default());
    assert_eq!((found.ids.len(), found.skipped.foreign), (0, 1));
}

#[test]
fn secret_lookalikes_do_not_hide_ids() {
    assert_ids(&[
        ("[default]\ntask = <A>", &[A]),
        ("[tokens]\ntask_id = <A>", &[A]),
        ("[tokens]\nused = 5\n[tasks]\nfirst = <B>", &[B]),
        ("tokens:\n  used: 5\ntasks:\n  - <A>", &[A]),
        ("the key was refused for task: <A>", &[A]),
        ("- value: <A>\n  name: taskId", &[A]),
        ("task_id: !!str <A>\nrecord_id: &first <B>", &[A, B]),
        ("ids: |\n  <A>\n  <B>", &[A, B]),
        ("(b'taskId', b'<A>')", &[A]),
        ("| Task ID |\n|---|\n| <A> |", &[A]),
        ("<dict><key>taskId</key><string><A></string></dict>", &[A]),
        ("a & <A>", &[A]),
        ("sk-1 <A>", &[A]),
    ]);
}

#[test]
fn known_secrets_are_never_ids() {
    let secrets = KnownSecrets::new(vec![KEY.to_owned()]);
    for text in [
        KEY.to_owned(),
        format!("taskId={KEY}"),
        KEY.to_uppercase(),
        format!("created {KEY}"),
        format!("taskId={KEY}-1"),
        format!("taskId=x{KEY}"),
    ] {
        let found = extract(&text, &secrets);
        assert_eq!((found.ids.len(), found.skipped.secrets), (0, 1), "{text}");
        assert!(!format!("{found:?}").contains(KEY));
    }
    for text in [KEY.to_owned(), format!("{KEY}x"), format!("kie-{KEY}")] {
        let found = extract_argument(&text, &secrets);
        assert_eq!((found.ids.len(), found.skipped.secrets), (0, 1));
    }
    assert_eq!(format!("{secrets:?}"), "KnownSecrets(1)");
}

#[test]
fn context_of_an_id_contains_no_secret() {
    let text = format!("Authorization: Bearer {KEY} task_id={A} password=hunter2 state=ok");
    let found = extract(&text, &KnownSecrets::default());
    let context = found.ids[0].context.as_str();
    assert_eq!(context, "task_id= … password=… state=");
}

#[test]
fn text_glued_to_an_id_is_suspicious() {
    let (glued, short) = (format!("new{B}"), B.trim_end_matches("21"));
    for (text, certainty) in [
        (glued.clone(), Certainty::Suspicious),
        (format!("see {glued}"), Certainty::Suspicious),
        (short.to_owned(), Certainty::Suspicious),
        (format!("taskId={glued}"), Certainty::Certain),
        (format!("{glued}\ntaskId={glued}"), Certainty::Certain),
        (B.to_owned(), Certainty::Certain),
    ] {
        let found = extract(&text, &KnownSecrets::default());
        let certainties: Vec<_> = found.ids.iter().map(|found| found.certainty).collect();
        assert_eq!(certainties, [certainty], "{text}");
    }
}

#[test]
fn words_that_are_not_ids_are_reported() {
    let rejected = |text: &str| {
        let found = extract(text, &KnownSecrets::default());
        let words: Vec<_> = found.rejected.iter().map(ToString::to_string).collect();
        (found.ids.len(), words, found.more_rejected)
    };
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        rejected("qqqqq\nnot-an-id"),
        (0, words(&["qqqqq", "not-an-id"]), 0)
    );
    assert_eq!(
        rejected(&format!("774d9a7d {B}")),
        (1, words(&["774d9a7d"]), 0)
    );
    assert_eq!(
        rejected("a1b2\nb\nc\nd\ne\nf\ng"),
        (0, words(&["a1b2", "b", "c", "d", "e"]), 2)
    );
    let prose = extract(
        "\nBearer hunter22 would be bad\nx",
        &KnownSecrets::default(),
    );
    assert_eq!(prose.beginning.unwrap().as_str(), "Bearer … would be bad");
}

#[test]
fn truncated_values_are_not_added() {
    let found = extract(
        r#"{"taskId":"luma_task_9f3a77"},{"taskId":"774d9a7dd6"#,
        &KnownSecrets::default(),
    );
    let certainties: Vec<_> = found.ids.iter().map(|found| found.certainty).collect();
    assert_eq!(certainties, [Certainty::Certain, Certainty::Suspicious]);
}

#[test]
fn messages_hide_values_shaped_like_secrets() {
    for text in [
        format!("mysql -p{KEY} x1"),
        format!("sk-{KEY}"),
        format!("a {B} token%3D{KEY}%26x"),
    ] {
        let secrets = KnownSecrets::new(vec![KEY.to_owned()]);
        let found = extract(&text, &secrets);
        assert!(!format!("{found:?}").contains(KEY), "{found:?}");
    }
    let glued = extract(&format!("x{KEY}"), &KnownSecrets::new(vec![KEY.to_owned()]));
    assert_eq!((glued.ids.len(), glued.skipped.secrets), (0, 1));
}

#[test]
fn unterminated_syntax_is_linear() {
    // The end of each is searched once per line. Searching it for each mark took minutes.
    let open = "“ ‘ « <a ".repeat(20_000);
    assert_eq!(ids(&format!("{open}\n{A}")), [A]);
}

#[test]
fn arguments_are_named_by_position() {
    for (text, expected) in [
        (A, Some(A)),
        ("task-000001", Some("task-000001")),
        ("abcd", Some("abcd")),
        ("task-new", Some("task-new")),
        ("TASK_ID", None),
        ("None", None),
        ("YOUR_TASK_ID", None),
        ("{{", None),
        ("hello there", None),
    ] {
        let found = extract_argument(text, &KnownSecrets::default());
        let ids: Vec<_> = certain_ids(&found.ids).map(TaskId::as_str).collect();
        assert_eq!(ids.first().copied(), expected, "{text}");
    }
    let glued = format!("x{A}");
    let found = extract_argument(&glued, &KnownSecrets::default());
    assert_eq!(found.ids[0].certainty, Certainty::Suspicious);
}

#[test]
fn long_lines_are_linear() {
    let one = |n: u32| format!(r#"{{"taskId":"{n:032x}","u":"https://t.example/{n:032x}.mp4"}}"#);
    let all: Vec<_> = (1..=12_000).map(one).collect();
    for text in [
        format!("[{}]", all.join(",")),
        all.join("\n"),
        format!("{{\"text\":\"{}\"}}", all.join(",").replace('"', "\\\"")),
    ] {
        let mut extractor = IdExtractor::new(&KnownSecrets::default());
        let mut found = extractor.push(text.as_bytes());
        assert!(!found.is_empty(), "ids are returned before the end");
        found.extend(extractor.finish());
        assert_eq!(certain_ids(&found).count(), 12_000);
        assert!(extractor.line.capacity() < 4 * MAX_LINE);
    }
}

/// The number of random texts, from `KIETOP_FUZZ_CASES` if set.
fn cases() -> u32 {
    std::env::var("KIETOP_FUZZ_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(400)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: cases(), failure_persistence: None, ..Default::default() })]

    #[test]
    fn each_id_is_found_once_and_again(
        parts in proptest::collection::vec(
            "[a-f0-9]{32}|taskId|task_id|[ -~]{0,9}|\\PC{0,6}|[\\n:=\"'?#&/{}\\[\\],;<>\\\\|]|https://[a-z/]{1,9}", 0..20),
    ) {
        let found = extract(&parts.concat(), &KnownSecrets::default());
        let each: std::collections::HashSet<_> = found.ids.iter().map(|found| &found.id).collect();
        assert_eq!(each.len(), found.ids.len());
        let again: Vec<_> = certain_ids(&found.ids).map(|id| format!("{{\"taskId\":\"{id}\"}}")).collect();
        assert_eq!(ids(&again.join("\n")).len(), certain_ids(&found.ids).count(), "{found:?}");
    }

    #[test]
    fn authorization_values_are_never_ids(
        before in "\\PC{0,12}|[ -~]{0,20}|[\"'{}\\[\\]<>&?|;,`\\\\]{0,6}",
        word in "authorization|Authorization|AUTHORIZATION|Proxy-Authorization|api_key|apiKey|API-KEY|x-api-key|KIE_API_KEY|token|access_token|accessToken|Bearer|cookie|Set-Cookie|secret|client_secret|password",
        separator in "[:=]|: |=| = |=>|\": \"|': '|\":\"|\\\\\":\\\\\"| |: Bearer |: Basic |=Bearer |:\\n  |: Token | is |%3D|&quot;:&quot;",
        secret in "[a-f0-9]{32}|[A-F0-9]{32}|[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}",
        after in "\\PC{0,12}|[\"'{}\\[\\]<>&?|;,`\\\\]{0,6}",
    ) {
        // The space keeps the letters before from changing the word.
        let text = format!("{before} {word}{separator}{secret} {after}");
        let found = extract(&text, &KnownSecrets::default());
        assert!(found.ids.iter().all(|found| !found.id.as_str().eq_ignore_ascii_case(&secret)), "{text:?} {found:?}");
    }
}
