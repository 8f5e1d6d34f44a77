//! What holds of everything that the cloud may answer, whatever bytes it is made of: for the fuzzer
//! in `fuzz/`, and for the tests, which replay its corpus.

use std::time::Duration;

use jiff::Timestamp;

use super::answer::{self, WireAnswer};
use super::iam::{self, LoginError, TokenAnswer};
use super::safe_text::{MESSAGE_MAX, REQUEST_ID_MAX};
use super::{retry_after, secret::Secret};
use crate::domain::call::{
    Answer, Call, CallError, Disposition, JobView, ProxySeen, ProxyView, Reply,
};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::Name;
use crate::domain::target::Target;

/// The secret that went out with every request.
const SECRET: &str = "MIIFsecrettoken";

/// An answer to any call. The first line of the input has the call's word, the status,
/// `Retry-After` and `X-Request-Id`, separated by tabs; the rest is the body.
pub fn answer(bytes: &[u8]) {
    let (head, body) = split_line(bytes);
    let head: Vec<&str> = head.split('\t').collect();
    let field = |at: usize| head.get(at).copied().filter(|text| !text.is_empty());
    let Some(call) = field(0).and_then(call) else { return };
    let status = field(1).and_then(|text| text.parse().ok()).unwrap_or(200);
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    let secret = Some(SECRET);
    let given = WireAnswer {
        status,
        request_id: field(3),
        retry_after: field(2),
        date,
        aged: false,
        body,
        cut: false,
        secret,
    };
    let reply = answer::read(&call, &given);
    holds(&call, status, &reply);
    // A body that goes on where we stop reading is never taken for a whole one.
    let cut = answer::read(&call, &WireAnswer { cut: true, ..given });
    assert!(cut.outcome.is_err());
    holds(&call, status, &cut);
}

fn split_line(bytes: &[u8]) -> (&str, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (std::str::from_utf8(&bytes[..end]).unwrap_or(""), bytes.get(end + 1..).unwrap_or_default())
}

fn call(word: &str) -> Option<Call> {
    let lane = Name::parse("main", "lane").expect("a name");
    let job = "252f6ca8-1b2d-4ce0-8a49-0b4ba6a0a6b1".parse().expect("a job id");
    let instance_id = "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an instance id");
    let proxy_id = "2ec617ba62da4eafb921b69438beed3cpo01".parse().expect("a proxy id");
    let target = Target {
        lane: lane.clone(),
        instance_id,
        proxy_id,
        tags: None,
        seen: None,
        instance_name: None,
    };
    let within = TimeSpan::at(Timestamp::UNIX_EPOCH);
    Some(match word {
        "inspect" => Call::Inspect { target },
        "submit" => Call::Submit { target, ssl_option: true },
        "follow" => Call::Follow { target, job },
        "find_jobs" => Call::FindJobs { target, within, offset: 1 },
        "jobs" => Call::Jobs { lane, within, offset: 1 },
        "show_job" => Call::ShowJob { lane, job },
        "instances" => Call::Instances { lane, offset: 0 },
        "proxies" => Call::Proxies { lane, instance_id },
        _ => return None,
    })
}

fn holds(call: &Call, status: u16, reply: &Reply) {
    assert!(reply.sent);
    assert!(
        reply.request_id.as_deref().is_none_or(|id| is_word(id) && id.len() <= REQUEST_ID_MAX),
        "{:?}",
        reply.request_id
    );
    assert!(reply.beside.is_empty() || matches!(call, Call::Inspect { .. }));
    reply.beside.iter().for_each(proxy);
    let success = (200..300).contains(&status);
    match &reply.outcome {
        Ok(answer) => {
            assert!(success, "{answer:?} of {status}");
            fits(call, answer);
        }
        Err(error) => refused(error, success),
    }
}

fn refused(error: &CallError, success: bool) {
    safe(&error.message);
    assert!(
        error.retry_after.is_none_or(|wait| (retry_after::MIN..=retry_after::MAX).contains(&wait))
    );
    assert!(error.code.as_deref().is_none_or(is_word), "{:?}", error.code);
    // What may have been done is asked for, never repeated and never given up.
    assert!(!success || error.disposition == Disposition::Unknown, "{error:?}");
    assert_ne!(error.disposition, Disposition::Withheld, "it was sent");
}

/// The answer is of the call's own kind, and whatever it holds may become part of a path or be
/// printed.
fn fits(call: &Call, answer: &Answer) {
    match (call, answer) {
        (Call::Inspect { .. }, Answer::Proxy(view)) => view.iter().for_each(shown),
        (Call::Submit { .. }, Answer::Accepted(job)) => job.iter().for_each(|job| id(job.as_str())),
        (Call::Follow { .. }, Answer::Job(view)) => stands(view),
        (Call::ShowJob { .. }, Answer::JobShown { instance_id, name, view }) => {
            instance_id.iter().for_each(|instance| id(instance.as_str()));
            safe(name);
            stands(view);
        }
        (Call::FindJobs { .. }, Answer::Jobs { jobs, page }) => {
            jobs.iter().for_each(|seen| {
                id(seen.job.as_str());
                id(seen.instance_id.as_str());
                safe(&seen.name);
            });
            assert!(
                jobs.iter().all(|seen| page.ids.contains(&seen.job)),
                "what is kept is counted"
            );
        }
        (Call::Jobs { .. }, Answer::Listed { jobs, page }) => {
            jobs.iter().for_each(|row| {
                id(row.job.as_str());
                stands(&row.view);
            });
            assert!(jobs.len() <= page.ids.len());
        }
        (Call::Instances { .. }, Answer::Instances { instances, .. }) => {
            instances.iter().for_each(|seen| {
                id(seen.instance_id.as_str());
                safe(&seen.name);
                safe(&seen.status);
                seen.tags
                    .iter()
                    .for_each(|(key, value)| [key, value].into_iter().for_each(|text| safe(text)));
            })
        }
        (Call::Proxies { .. }, Answer::Proxies(seen)) => seen.iter().for_each(proxy),
        _ => panic!("{answer:?} to {call:?}"),
    }
}

fn proxy(seen: &ProxySeen) {
    id(seen.proxy_id.as_str());
    shown(&seen.view);
}

fn shown(view: &ProxyView) {
    safe(&view.word);
    if let Some(endpoint) = &view.endpoint {
        assert_eq!(endpoint.to_string().parse().as_ref(), Ok(endpoint), "it can be kept");
    }
}

fn stands(view: &JobView) {
    match view {
        JobView::Running { process: text } | JobView::Broken { reason: text } => safe(text),
        JobView::Completed => {}
    }
}

fn id(text: &str) {
    assert!(
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
        "{text:?}"
    );
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// One bounded line without control characters and without the secret.
fn safe(line: &str) {
    assert!(line.chars().count() <= MESSAGE_MAX, "{} characters", line.chars().count());
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(!line.contains(SECRET), "{line:?}");
}

/// IAM's answer to a login. The first line of the input has the status, the token's header and
/// `Retry-After`, separated by tabs; the rest is the body.
pub fn login(bytes: &[u8]) {
    let (head, body) = split_line(bytes);
    let mut head = head.split('\t').map(|text| Some(text).filter(|text| !text.is_empty()));
    let status = head.next().flatten().and_then(|text| text.parse().ok()).unwrap_or(201);
    let (token, retry_after) = (head.next().flatten(), head.next().flatten());
    let about =
        iam::About { host: "iam.example.com", user: "sealift", secret: SECRET, agency: None };
    match iam::understand(&about, &TokenAnswer { status, token, retry_after, date: None, body }) {
        Ok((token, life)) => {
            assert!(status == 200 || status == 201);
            assert!(Secret::new(token.expose()).is_ok(), "it can be sent");
            assert!(life > Duration::ZERO && life <= Duration::from_secs(86_400), "{life:?}");
        }
        Err(LoginError::WrongPassword(message)) => {
            safe(&message);
            assert_eq!(status, 401);
        }
        Err(LoginError::Refused(message)) => {
            safe(&message);
            assert!((400..500).contains(&status) && status != 401);
        }
        Err(LoginError::Failed(message, wait)) => {
            safe(&message);
            assert!(wait.is_none_or(|wait| (1..=600).contains(&wait.as_secs())), "{wait:?}");
        }
    }
}

/// `Retry-After` on the first line, `Date` on the second.
pub fn retry_after(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (value, date) =
        text.split_once('\n').map_or((text, None), |(value, date)| (value, Some(date)));
    let wait = retry_after::read(value, date);
    assert!(
        wait.is_none_or(|wait| (retry_after::MIN..=retry_after::MAX).contains(&wait)),
        "{wait:?}"
    );
    // Seconds mean the same whatever the clocks say.
    if value.trim().parse::<u32>().is_ok_and(|_| !value.contains('+')) {
        assert!(wait.is_some());
        assert_eq!(retry_after::read(value, None), wait);
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::corpus::replay;

    #[test]
    fn the_corpus_holds() {
        replay("answer", super::answer);
        replay("login", super::login);
        replay("retry_after", super::retry_after);
    }
}
