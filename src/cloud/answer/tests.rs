use super::*;
use crate::domain::id::Name;
use crate::domain::target::Target;

const INSTANCE: &str = "096c0fc43e804757b59946b80dc27f8bin07";
const PROXY: &str = "2ec617ba62da4eafb921b69438beed3cpo01";
const JOB: &str = "e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7";

fn target() -> Target {
    Target {
        lane: Name::parse("a", "lane").expect("a name"),
        instance_id: INSTANCE.parse().expect("an id"),
        proxy_id: PROXY.parse().expect("an id"),
        tags: None,
        seen: None,
        instance_name: None,
    }
}
fn submit() -> Call {
    Call::Submit { target: target(), ssl_option: true }
}
fn inspect() -> Call {
    Call::Inspect { target: target() }
}
fn follow() -> Call {
    Call::Follow { target: target(), job: JOB.parse().expect("an id") }
}
fn find() -> Call {
    Call::FindJobs {
        target: target(),
        within: crate::domain::cloud_clock::TimeSpan::at(jiff::Timestamp::UNIX_EPOCH),
        offset: 1,
    }
}

fn wire(status: u16, body: &[u8]) -> WireAnswer<'_> {
    WireAnswer {
        status,
        request_id: None,
        retry_after: None,
        date: None,
        aged: false,
        body,
        cut: false,
        secret: None,
    }
}

fn outcome(call: &Call, status: u16, body: &str) -> Result<Answer, Disposition> {
    read(call, &wire(status, body.as_bytes())).outcome.map_err(|error| error.disposition)
}

#[test]
fn a_submission_is_accepted_with_a_documented_job_id_or_without_any() {
    let job = || JOB.parse().expect("an id");
    for (status, body, expected) in [
        (
            200,
            r#"{"job_id":"e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7"}"#,
            Ok(Answer::Accepted(Some(job()))),
        ),
        (
            202,
            r#"{"new":[1], "job_id" : " e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7 "}"#,
            Ok(Answer::Accepted(Some(job()))),
        ),
        (200, r#"{"job_id":null}"#, Ok(Answer::Accepted(None))),
        (200, r#"{"job_id":""}"#, Ok(Answer::Accepted(None))),
        (200, "{}", Ok(Answer::Accepted(None))),
        (204, "", Ok(Answer::Accepted(None))),
        (200, r#"{"job_id":12}"#, Err(Disposition::Unknown)),
        (200, r#"{"job_id":{"id":"x"}}"#, Err(Disposition::Unknown)),
        (200, r#"{"job_id":"../../x"}"#, Err(Disposition::Unknown)),
        (200, r#"{"error_code":"DBS.200019","error_msg":"busy"}"#, Err(Disposition::Unknown)),
        (200, "[]", Err(Disposition::Unknown)),
        (200, "null", Err(Disposition::Unknown)),
        (200, "<html>welcome</html>", Err(Disposition::Unknown)),
        (200, r#"{"job_id":"e0fbb"#, Err(Disposition::Unknown)),
        (200, "\u{feff}{}", Err(Disposition::Unknown)),
    ] {
        assert_eq!(outcome(&submit(), status, body), expected, "{status} {body}");
    }
    let long = format!(r#"{{"job_id":"{}"}}"#, "a".repeat(900_000));
    assert_eq!(outcome(&submit(), 200, &long), Err(Disposition::Unknown));
    let deep = "[".repeat(100_000);
    assert_eq!(outcome(&submit(), 200, &deep), Err(Disposition::Unknown));
    assert_eq!(outcome(&submit(), 200, &format!(r#"{{"x":{deep}"#)), Err(Disposition::Unknown));
    let invalid = WireAnswer { body: b"{\"job_id\":\"\xff\xfe\"}", ..wire(200, b"") };
    assert_eq!(
        read(&submit(), &invalid).outcome.map_err(|error| error.disposition),
        Err(Disposition::Unknown)
    );
    let cut = WireAnswer {
        cut: true,
        ..wire(200, br#"{"job_id":"e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7"}"#)
    };
    assert_eq!(
        read(&submit(), &cut).outcome.map_err(|error| error.disposition),
        Err(Disposition::Unknown)
    );
}

fn seen(ssl_option: Option<bool>, status: ProxyStatus, word: &str) -> Result<Answer, Disposition> {
    Ok(Answer::Proxy(Some(ProxyView { ssl_option, status, word: word.into(), endpoint: None })))
}

#[test]
fn a_proxy_is_read_in_every_shape_the_vendor_sends() {
    let one = |fields: &str| {
        format!(
            r#"{{"proxy_list":[{{"proxy":{{"pool_id":"{PROXY}",{fields}}},"readonly_nodes":{{"id":"x"}}}}]}}"#
        )
    };
    for (fields, expected) in [
        (r#""status":"ACTIVE","ssl_option":"true""#, seen(Some(true), ProxyStatus::Idle, "ACTIVE")),
        (
            r#""status":"ACTIVE","ssl_option":"False","port":"3306""#,
            seen(Some(false), ProxyStatus::Idle, "ACTIVE"),
        ),
        (r#""status":"active","ssl_option":true"#, seen(Some(true), ProxyStatus::Idle, "active")),
        (r#""status":"ACTIVE""#, seen(None, ProxyStatus::Idle, "ACTIVE")),
        (r#""status":"ACTIVE","ssl_option":null"#, seen(None, ProxyStatus::Idle, "ACTIVE")),
        (r#""status":"ACTIVE","ssl_option":1"#, seen(None, ProxyStatus::Idle, "ACTIVE")),
        (r#""status":"ACTIVE","ssl_option":["true"]"#, seen(None, ProxyStatus::Idle, "ACTIVE")),
        (r#""status":"ACTIVE","ssl_option":"maybe""#, seen(None, ProxyStatus::Idle, "ACTIVE")),
        (
            r#""pool_status":"ACTIVE","ssl_option":"true""#,
            seen(Some(true), ProxyStatus::Idle, "ACTIVE"),
        ),
        (
            r#""status":"ACTIVE","pool_status":"ABNORMAL""#,
            seen(None, ProxyStatus::Faulty, "ABNORMAL"),
        ),
        (r#""status":"FAILED""#, seen(None, ProxyStatus::Faulty, "FAILED")),
        (r#""status":"DELETED""#, seen(None, ProxyStatus::Faulty, "DELETED")),
        (
            r#""status":"ENABLING PROXY","pool_status":"ACTIVE""#,
            seen(None, ProxyStatus::Busy, "ENABLING PROXY"),
        ),
        (
            r#""status":"SOMETHING NEW","ssl_option":"true""#,
            seen(Some(true), ProxyStatus::Busy, "SOMETHING NEW"),
        ),
        (r#""name":7"#, seen(None, ProxyStatus::Busy, "unknown")),
    ] {
        assert_eq!(outcome(&inspect(), 200, &one(fields)), expected, "{fields}");
    }
    let lone =
        format!(r#"{{"proxy_list":{{"proxy":[{{"pool_id":"{PROXY}","status":"ACTIVE"}}]}}}}"#);
    assert_eq!(outcome(&inspect(), 200, &lone), seen(None, ProxyStatus::Idle, "ACTIVE"));
}

#[test]
fn a_proxy_is_absent_only_when_the_whole_list_shows_it() {
    let other = r#"{"proxy":{"pool_id":"ffffffffffffffffffffffffffffffffpo01","status":"ACTIVE"}}"#;
    for (body, expected) in [
        (r#"{"proxy_list":[]}"#.to_owned(), Ok(Answer::Proxy(None))),
        (format!(r#"{{"proxy_list":[{other}]}}"#), Ok(Answer::Proxy(None))),
        ("{}".into(), Err(Disposition::Unknown)),
        (r#"{"proxy_list":null}"#.into(), Err(Disposition::Unknown)),
        (r#"{"proxy_list":"none"}"#.into(), Err(Disposition::Unknown)),
        (r#"{"proxy_list":[{"proxy":{"status":"ACTIVE"}}]}"#.into(), Err(Disposition::Unknown)),
        (r#"{"proxy_list":[null]}"#.into(), Err(Disposition::Unknown)),
        (
            format!(r#"{{"proxy_list":[{}]}}"#, vec![other; 100].join(",")),
            Err(Disposition::Unknown),
        ),
        (
            format!(r#"{{"proxy_list":[{}]}}"#, vec![other; 2000].join(",")),
            Err(Disposition::Unknown),
        ),
    ] {
        assert_eq!(outcome(&inspect(), 200, &body), expected, "{}", &body[..body.len().min(200)]);
    }
}

#[test]
fn a_job_is_final_only_by_a_known_word() {
    let one = |fields: &str| {
        format!(r#"{{"job":{{"id":"{JOB}","name":"x","instance":{{"id":"y"}},{fields}}}}}"#)
    };
    let running = |process: &str| Ok(Answer::Job(JobView::Running { process: process.into() }));
    let broken = |reason: &str| Ok(Answer::Job(JobView::Broken { reason: reason.into() }));
    for (fields, expected) in [
        (r#""status":"Pending","process":"""#, running("")),
        (r#""status":"Running","process":"60%""#, running("60%")),
        (r#""status":"Running","process":60"#, running("60")),
        (r#""status":"Unauthorized""#, running("")),
        (r#""status":"Sleeping","process":null"#, running("")),
        (
            r#""status":"Completed","ended":"2018-08-06T10:41:14+0800""#,
            Ok(Answer::Job(JobView::Completed)),
        ),
        (r#""status":"Failed","fail_reason":"node\u0000 down""#, broken("node down")),
        (r#""status":"Failed""#, broken("Failed")),
        (r#""status":"Canceled","fail_reason":"""#, broken("Canceled")),
        (r#""process":"60%""#, Err(Disposition::Unknown)),
    ] {
        assert_eq!(outcome(&follow(), 200, &one(fields)), expected, "{fields}");
    }
    let other = r#"{"job":{"id":"aaaaaaaa-1ac4-4721-b9e9-7dd685c5bdd7","status":"Completed"}}"#;
    assert_eq!(
        outcome(&follow(), 200, other),
        Err(Disposition::Unknown),
        "another job's end is not ours"
    );
    assert_eq!(outcome(&follow(), 200, "{}"), Err(Disposition::Unknown));
    let unknown = r#"{"error_code":"DBS.200543","error_msg":"The job does not exist."}"#;
    assert_eq!(outcome(&follow(), 400, unknown), Err(Disposition::NotFound));
}

#[test]
fn the_job_list_keeps_what_may_be_ours() {
    let row = |name: &str, job: &str, instance: &str| {
        format!(r#"{{"job_name":"{name}","job_id":"{job}","instance_id":"{instance}"}}"#)
    };
    let list = |rows: &[String]| {
        format!(r#"{{"jobs":[{}],"total_count":"7","action_names":[]}}"#, rows.join(","))
    };
    let page = |rows: &[String]| match outcome(&find(), 200, &list(rows)) {
        Ok(Answer::Jobs { jobs, page }) => {
            let kept =
                jobs.into_iter().map(|seen| (seen.job.to_string(), seen.name)).collect::<Vec<_>>();
            assert_eq!(page.total, Some(7));
            Ok((kept, page.ids.len()))
        }
        Ok(other) => panic!("no list: {other:?}"),
        Err(disposition) => Err(disposition),
    };
    let rows = [
        row("SomethingNew", "job-1", INSTANCE),
        row("EnlargeGaussDBforMySQLProxy", "job-2", INSTANCE),
        row("GaussDBforMySQLSwitchSSL", "job-3", "ffffffffffffffffffffffffffffffffin07"),
        row("SomethingNew", "job-4", "an-instance-of-another-product"),
        row("SomethingNew", "", "ffffffffffffffffffffffffffffffffin07"),
    ];
    let kept = vec![
        ("job-1".to_owned(), "SomethingNew".to_owned()),
        ("job-3".to_owned(), "GaussDBforMySQLSwitchSSL".to_owned()),
    ];
    assert_eq!(page(&rows), Ok((kept, 4)), "every row that has an id counts");
    assert_eq!(page(&[row("SomethingNew", "", INSTANCE)]), Err(Disposition::Unknown));
    assert_eq!(page(&vec![row("OpenGaussDBforMySQLProxy", "job", INSTANCE); 50]), Ok((vec![], 50)));
    assert_eq!(page(&[]), Ok((vec![], 0)));
    for unsaid in
        [r#"{"jobs":[]}"#, r#"{"jobs":[],"total_count":"many"}"#, r#"{"jobs":[],"total_count":-1}"#]
    {
        let none = Ok(Answer::Jobs { jobs: vec![], page: JobsPage { ids: vec![], total: None } });
        assert_eq!(outcome(&find(), 200, unsaid), none, "{unsaid}");
    }
    assert_eq!(outcome(&find(), 200, r#"{"total_count":0}"#), Err(Disposition::Unknown));
}

#[test]
fn the_job_list_says_when_a_job_was_made() {
    let created = |more: &str| {
        let body = format!(
            r#"{{"jobs":[{{"job_name":"SomethingNew","job_id":"job-1","instance_id":"{INSTANCE}"{more}}}]}}"#
        );
        match outcome(&find(), 200, &body) {
            Ok(Answer::Jobs { jobs, .. }) => jobs[0].created.map(|at| at.to_string()),
            other => panic!("no list: {other:?}"),
        }
    };
    assert_eq!(
        created(r#","created_time":"2018-08-06T10:41:14+0800""#).as_deref(),
        Some("2018-08-06T02:41:14Z")
    );
    for unknown in
        ["", r#","created_time":"""#, r#","created_time":null"#, r#","created_time":"yesterday""#]
    {
        assert_eq!(created(unknown), None, "{unknown}");
    }
}

#[test]
fn every_envelope_is_found() {
    for (body, code, message) in [
        (
            r#"{"error_code":"DBS.200019","error_msg":"busy"}"#,
            Some("DBS.200019"),
            "answer 409, DBS.200019: busy",
        ),
        (
            r#"{"errorCode":"DBS.200019","errorMsg":"busy"}"#,
            Some("DBS.200019"),
            "answer 409, DBS.200019: busy",
        ),
        (
            r#"{"code":"DBS.200019","message":"busy"}"#,
            Some("DBS.200019"),
            "answer 409, DBS.200019: busy",
        ),
        (
            r#"{"error":{"code":409,"message":"busy","title":"Conflict"}}"#,
            Some("409"),
            "answer 409, 409: busy",
        ),
        (
            r#"{"a":1,"inner":{"error_code":"DBS.200019","error_msg":"busy"}}"#,
            Some("DBS.200019"),
            "answer 409, DBS.200019: busy",
        ),
        (r#"{"error_code":"a b","error_msg":"x"}"#, None, "answer 409: x"),
        (r#"{"error_code":"DBS.200019"}"#, Some("DBS.200019"), "answer 409, DBS.200019"),
        ("<html><title>Bad</title><body>Gateway</body></html>", None, "answer 409: Bad Gateway"),
        ("", None, "answer 409 without a message"),
        ("[1]", None, "answer 409 without a message"),
    ] {
        let error = read(&submit(), &wire(409, body.as_bytes())).outcome.expect_err("a 409");
        assert_eq!((error.code.as_deref(), error.message.as_str()), (code, message), "{body}");
        assert_eq!(error.status, Some(409));
    }
}

#[test]
fn the_request_id_is_kept_from_header_or_body() {
    let body = br#"{"error_msg":"x","error_code":"APIGW.0301","request_id":"0123abcd"}"#;
    assert_eq!(read(&submit(), &wire(401, body)).request_id.as_deref(), Some("0123abcd"));
    let headed = WireAnswer { request_id: Some("from-header"), ..wire(401, body) };
    assert_eq!(read(&submit(), &headed).request_id.as_deref(), Some("from-header"));
    let evil = WireAnswer { request_id: Some("a\u{1b}[2J"), ..wire(200, b"{}") };
    assert_eq!(read(&submit(), &evil).request_id, None);
}

#[test]
fn a_secret_that_is_echoed_is_starred() {
    let body = br#"{"error_code":"APIGW.0301","error_msg":"verify fail: GET|x-auth-token:tok3n-0f-ours|host"}"#;
    let answer = WireAnswer { secret: Some("tok3n-0f-ours"), ..wire(401, body) };
    let error = read(&inspect(), &answer).outcome.expect_err("a 401");
    assert_eq!(error.message, "answer 401, APIGW.0301: verify fail: GET|x-auth-token:***|host");
}

#[test]
fn retry_after_is_carried() {
    let answer = WireAnswer { retry_after: Some("7"), ..wire(429, b"{}") };
    let error = read(&inspect(), &answer).outcome.expect_err("a 429");
    assert_eq!((error.disposition, error.retry_after), (Disposition::Throttled, Some(7)));
}

proptest::proptest! {
    /// Whatever comes, the reader neither panics nor takes it for a job id or a value that is not
    /// there.
    #[test]
    fn no_answer_breaks_the_reader(status in 100u16..=999, body in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        for call in [submit(), inspect(), follow(), find()] {
            let reply = read(&call, &wire(status, &body));
            if let Err(error) = reply.outcome {
                proptest::prop_assert!(error.message.chars().count() <= safe_text::MESSAGE_MAX);
            }
        }
    }

    #[test]
    fn no_json_breaks_the_reader(body in r#"\{("(job_id|job|jobs|proxy_list|error_code|status)":(\[|\{|"a|1|null|true|\{\}|\[\]|"|\}|\]|,){0,6},?){0,4}\}"#) {
        for call in [submit(), inspect(), follow(), find()] {
            let reply = read(&call, &wire(200, body.as_bytes()));
            proptest::prop_assert!(!matches!(reply.outcome, Ok(Answer::Proxy(Some(_)))));
        }
    }
}

/// A gateway may repeat what it got wherever it likes, also in a success.
#[test]
fn a_secret_that_a_success_repeats_is_starred() {
    let lane = || Name::parse("a", "lane").expect("a name");
    let echo = "x tok3n-0f-ours";
    let proxies =
        format!(r#"{{"proxy_list":[{{"proxy":{{"pool_id":"{PROXY}","status":"{echo}"}}}}]}}"#);
    let jobs = format!(
        r#"{{"jobs":[{{"instance_id":"{INSTANCE}","job_id":"{JOB}","job_name":"{echo}"}}]}}"#
    );
    let instances = format!(
        r#"{{"instances":[{{"id":"{INSTANCE}","name":"{echo}","status":"{echo}","tags":[{{"key":"{echo}","value":"{echo}"}}]}}],"total_count":1}}"#
    );
    for (call, body) in [
        (inspect(), &proxies),
        (Call::Proxies { lane: lane(), instance_id: INSTANCE.parse().expect("an id") }, &proxies),
        (find(), &jobs),
        (Call::Instances { lane: lane(), offset: 0 }, &instances),
    ] {
        let answer = WireAnswer { secret: Some("tok3n-0f-ours"), ..wire(200, body.as_bytes()) };
        let shows_time = format!("{:?}", read(&call, &answer).outcome.expect("readable"));
        assert!(shows_time.contains("x ***") && !shows_time.contains("tok3n"), "{shows_time}");
    }
}

/// Whose clock an answer tells: the cloud's own, and no cache's or gateway's on the way.
#[test]
fn the_clouds_time_is_read_from_its_own_answers() {
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    let id = Some("5f9e1c1a0b0c4d5e8f9a0b1c2d3e4f5a");
    let shows_time = |wire: WireAnswer<'_>| read(&submit(), &wire).cloud_time.is_some();
    for (status, request_id, body, expected) in [
        (200, None, "{}", true),
        (200, id, "not JSON", true),
        (429, id, r#"{"error_code":"APIG.0308"}"#, true),
        (500, id, "", true),
        // A gateway of somebody else's, and nobody who knows us.
        (502, None, "<html></html>", false),
        (407, None, "", false),
        (401, id, r#"{"error_code":"APIGW.0301"}"#, false),
    ] {
        let wire = WireAnswer { date, request_id, ..wire(status, body.as_bytes()) };
        assert_eq!(shows_time(wire), expected, "{status} {request_id:?}");
        assert!(!shows_time(WireAnswer { aged: true, ..wire }), "a cache tells an old time");
        assert!(!shows_time(WireAnswer { date: None, ..wire }));
    }
}
