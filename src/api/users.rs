//! Names of users, by their number, and members of groups.
//!
//! Job: `/etc/passwd` and `/etc/group` first; who is not in them may be one of a directory service
//! (LDAP, SSSD, systemd), which only the system's own resolver can ask. This program is linked
//! statically and has none, so `getent` is run for it.
//!
//! Bounds: so many at once, so much time and so many bytes each; it runs with an empty environment
//! and is killed when its time is over. Whoever has no name by then is shown by number.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// Largest `/etc/passwd` or `/etc/group` that is read.
const FILE_MAX: u64 = 1 << 20;

/// Where `getent` is, in the order in which it is looked for.
const GETENT: [&str; 2] = ["/usr/bin/getent", "/bin/getent"];

/// Time for one answer of a directory service, the wait for a place included: a client's request
/// waits for it.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Bytes of one answer: a line of seven short fields, or a group with some thousand members.
const LINE_MAX: u64 = 64 * 1024;

/// Questions at once: a slow directory service costs no more processes than that.
static PLACES: Semaphore = Semaphore::const_new(4);

/// The name of the user with this number, if the system has one.
pub async fn name_of(uid: u32) -> Option<String> {
    if let Some(name) = local("/etc/passwd").as_deref().and_then(|text| name_in(text, uid)) {
        return Some(name);
    }
    name_in(&ask(&getent()?, "passwd", &uid.to_string(), ANSWER_MAX).await?, uid)
}

/// Whether a user belongs to a group, by their name or by the group `gid` that they act in.
pub async fn is_member(group: &str, user: Option<&str>, gid: Option<u32>) -> bool {
    let local = local("/etc/group").as_deref().and_then(|text| member_in(text, group, user, gid));
    // A group of the system's own files has its members there; no program is run for it.
    if let Some(member) = local {
        return member;
    }
    let Some(program) = getent() else { return false };
    let answer = ask(&program, "group", group, ANSWER_MAX).await;
    answer.and_then(|text| member_in(&text, group, user, gid)).unwrap_or(false)
}

fn getent() -> Option<PathBuf> {
    GETENT.iter().map(PathBuf::from).find(|path| path.exists())
}

fn local(file: &str) -> Option<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(FILE_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What `getent DATABASE KEY` says.
async fn ask(program: &Path, database: &str, key: &str, limit: Duration) -> Option<String> {
    let asked = async {
        let _place = PLACES.acquire().await.ok()?;
        let mut command = Command::new(program);
        command
            .arg(database)
            .arg("--")
            .arg(key)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().ok()?;
        let mut answer = String::new();
        child.stdout.take()?.take(LINE_MAX).read_to_string(&mut answer).await.ok()?;
        child.wait().await.ok()?.success().then_some(answer)
    };
    let answer = tokio::time::timeout(limit, asked).await;
    if answer.is_err() {
        tracing::warn!(
            database,
            key,
            "no directory service answered within {} s; it counts as unknown",
            limit.as_secs()
        );
    }
    answer.ok()?
}

/// Whether the group has this member; `None`: the text has no such group.
fn member_in(text: &str, group: &str, user: Option<&str>, gid: Option<u32>) -> Option<bool> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.len() >= 4 && fields[0] == group)?;
    let own = gid.is_some_and(|gid| found[2].parse() == Ok(gid));
    Some(
        own || user.is_some_and(|user| {
            !user.is_empty() && found[3].split(',').any(|member| member == user)
        }),
    )
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    let mut users = passwd.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid) && !name.is_empty())
            .then(|| name.chars().filter(|c| !c.is_control()).collect())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn users_are_found_by_their_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbroken\nops:x:1000:1000::/home/ops:/bin/sh\n";
        assert_eq!(name_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("ops"));
        assert_eq!(name_in(passwd, 7), None);
    }

    #[test]
    fn members_are_found_by_name_or_by_the_group_that_they_act_in() {
        let groups = "root:x:0:\nbroken\nreaders:x:700:ada,bob\nempty:x:701:\n";
        for (group, user, gid, wanted) in [
            ("readers", Some("bob"), None, Some(true)),
            ("readers", Some("bo"), Some(701), Some(false)),
            ("readers", None, Some(700), Some(true)),
            ("empty", Some(""), None, Some(false)),
            ("empty", Some("ada"), Some(701), Some(true)),
            ("broken", Some("ada"), None, None),
        ] {
            assert_eq!(member_in(groups, group, user, gid), wanted, "{group} {user:?} {gid:?}");
        }
    }

    #[tokio::test]
    async fn a_directory_service_names_a_user_or_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = [
            (
                "named",
                r#"test "$1 $2 $3" = "passwd -- 70001" && echo "ada:*:70001:70001:Ada:/home/ada:/bin/sh""#,
                Some("ada"),
            ),
            ("unknown", "exit 2", None),
            ("another", "echo bob:x:70002:70002::/:/bin/sh", None),
            ("failed", "echo ada:x:70001:70001::/:/bin/sh; exit 1", None),
            (
                "no environment",
                r#"test -z "$HOME$SEALIFT_CONFIG" && echo ada:x:70001:1::/:/bin/sh"#,
                Some("ada"),
            ),
            (
                "too much",
                "head -c 200000 /dev/zero | tr '\\0' a; echo; echo ada:x:70001:1::/:/bin/sh",
                None,
            ),
        ];
        // All are written before any is run: a file that a child still holds open for writing
        // cannot be run.
        for (name, script, _) in rows {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))
                .expect("a mode");
        }
        let limit = Duration::from_secs(30);
        for (name, _, wanted) in rows {
            let answer = ask(&folder.path().join(name), "passwd", "70001", limit).await;
            assert_eq!(answer.and_then(|text| name_in(&text, 70001)).as_deref(), wanted, "{name}");
        }
        assert_eq!(ask(&folder.path().join("missing"), "passwd", "70001", limit).await, None);
    }

    #[tokio::test]
    async fn a_directory_service_that_does_not_answer_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let silent = folder.path().join("silent");
        std::fs::write(&silent, "#!/bin/sh\nexec sleep 600\n").expect("a script");
        std::fs::set_permissions(&silent, std::fs::Permissions::from_mode(0o700)).expect("a mode");
        let asked = tokio::time::timeout(
            Duration::from_secs(60),
            ask(&silent, "passwd", "70001", Duration::from_millis(50)),
        );
        assert_eq!(asked.await.expect("bounded"), None);
    }
}
