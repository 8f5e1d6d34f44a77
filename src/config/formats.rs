//! The checks of single texts in the configuration, under the names that the schema gives them.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::regions;
use crate::database::{DatabaseUrl, SchemaName, UrlError};
use crate::domain::id::{Name, ProjectId};
use crate::domain::notify::MessageShape;
use crate::domain::person::Person;
use crate::yaml::format::{self, Complaint, TextFormat};
use crate::yaml::length::Length;
use crate::yaml::quote;
use crate::yaml::share::CountOrShare;
use crate::yaml::suggest::nearest;

pub const FORMATS: &[TextFormat] = &[
    ("lane", |text| {
        Name::parse(text, "lane").map(drop).map_err(|error| Complaint::new(error.to_string()))
    }),
    ("receiver-name", |text| {
        Name::parse(text, "receiver").map(drop).map_err(|error| Complaint::new(error.to_string()))
    }),
    ("message-shape", message_shape),
    ("length", format::of::<Length>),
    ("path", path),
    ("database-url", database_url),
    ("schema-name", schema_name),
    ("endpoint", |text| endpoint(text).map(drop)),
    ("region", regions::check),
    ("project-id", format::saying::<ProjectId>),
    ("env-name", env_name),
    ("credential", credential),
    ("account-name", account_name),
    ("headroom", |text| headroom(text).map(drop)),
    ("receiver", |text| receiver(text).map(drop)),
    ("trace-share", |text| trace_share(text).map(drop)),
    ("listen", |text| listen(text).map(drop)),
    ("origin", |text| origin(text).map(drop)),
    ("person-name", person_name),
    ("user", |text| plain_name(text, "a user or group of this host")),
    ("subject", |text| plain_name(text, "a certificate's subject")),
];

fn path(text: &str) -> Result<(), Complaint> {
    match text {
        "" => Err(Complaint::new("names no file")),
        _ if text.contains('\0') => Err(Complaint::new("a path holds no NUL")),
        _ if text.starts_with('~') => {
            Err(Complaint::new("`~` means nothing here").help("write the whole path"))
        }
        _ => Ok(()),
    }
}

/// Where a store in PostgreSQL is. Whatever stands there may be a password, so nothing of it is
/// shown.
fn database_url(text: &str) -> Result<(), Complaint> {
    let Err(error) = DatabaseUrl::parse(text) else { return Ok(()) };
    let help = match &error {
        UrlError::Password => {
            "take it out, and say where it is found with `password: {file: PATH}` beside `url`"
        }
        UrlError::NoTls => "take `sslmode` out, and name the server's authorities with `ca_file`",
        UrlError::NoDatabase => "add `dbname=…`, or the name behind the host's `/`",
        UrlError::NoUser => "add `user=…`, or the name and `@` before the host",
        UrlError::NoHost | UrlError::Unreadable(_) => {
            "write a list such as `host=db1,db2 dbname=sealift user=sealift`, or a URL such as \
             `postgresql://sealift@db1/sealift`"
        }
    };
    Err(Complaint::new(error.to_string()).help(help).secret())
}

fn schema_name(text: &str) -> Result<(), Complaint> {
    match SchemaName::parse(text) {
        Some(_) => Ok(()),
        None => Err(Complaint::new(format!("{} is no name of a schema", quote(text)))
            .help("write small letters, digits and `_`, a letter first, as `sealift`")),
    }
}

/// The word of a shape of messages.
fn message_shape(text: &str) -> Result<(), Complaint> {
    let words = MessageShape::NAMED.map(|shape| shape.as_str());
    if words.contains(&text) {
        return Ok(());
    }
    let complaint = Complaint::new(format!("{} is no shape of messages", quote(text)));
    Err(match nearest(text, words) {
        Some(near) => complaint.help(format!("did you mean `{near}`?")).replace(near),
        None => complaint.help(format!("write one of {}, or a map", words.join(", "))),
    })
}

/// Base of all URLs: scheme, host and perhaps a port, without a slash at its end.
pub fn endpoint(text: &str) -> Result<String, Complaint> {
    let example =
        "write scheme and host, such as `https://gaussdb.ap-southeast-3.myhuaweicloud.com`";
    // Whatever stands before an `@` may be a password, so nothing of it is shown.
    if text.contains('@') {
        return Err(Complaint::new("an endpoint holds no user").help(example).secret());
    }
    let url = match Url::parse(text) {
        Ok(url) if url.has_host() => url,
        _ if !text.contains("://")
            && Url::parse(&format!("https://{text}")).is_ok_and(|url| url.has_host()) =>
        {
            let whole = format!("https://{}", text.trim_end_matches('/'));
            return Err(Complaint::new("an endpoint begins with `https://`")
                .help(format!("write `{whole}`"))
                .replace(whole));
        }
        _ => return Err(Complaint::new(format!("{} is no endpoint", quote(text))).help(example)),
    };
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Complaint::new(
            "an endpoint ends after host and port: the paths are Sealift's to add",
        )
        .help(example));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            let safe = text.replacen("http://", "https://", 1);
            let complaint = Complaint::new(
                "`http://` would send credentials in plain text; it is taken for this machine only",
            );
            return Err(complaint.help(format!("write `{safe}`")).replace(safe));
        }
        _ => return Err(Complaint::new("an endpoint begins with `https://`").help(example)),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Where traces are sent: a whole URL with its path.
pub fn receiver(text: &str) -> Result<String, Complaint> {
    let example = "write the whole address, such as `http://127.0.0.1:4318/v1/traces`";
    // Whatever stands before an `@` may be a password, so nothing of it is shown.
    if text.contains('@') {
        return Err(Complaint::new("a receiver's address holds no user").help(example).secret());
    }
    let url = Url::parse(text).ok().filter(Url::has_host);
    let Some(url) = url else {
        return Err(Complaint::new(format!("{} is no address", quote(text))).help(example));
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            let safe = text.replacen("http://", "https://", 1);
            let complaint =
                Complaint::new("plain `http://` is taken for a receiver on this machine only");
            return Err(complaint.help(format!("write `{safe}`")).replace(safe));
        }
        _ => {
            return Err(Complaint::new("a receiver's address begins with `https://`").help(example));
        }
    }
    if url.path() == "/" {
        let whole = format!("{}/v1/traces", text.trim_end_matches('/'));
        let complaint = Complaint::new("a receiver's address has a path");
        return Err(complaint.help(format!("write `{whole}`")).replace(whole));
    }
    Ok(url.into())
}

/// Of how many changes traces are sent, in hundredths of a percent.
pub fn trace_share(text: &str) -> Result<u32, Complaint> {
    let example = "write a share such as `5%`";
    match text.parse() {
        Ok(CountOrShare::Hundredths(part)) => Ok(part),
        Ok(CountOrShare::Count(count)) => {
            Err(Complaint::new(format!("{count} is no share of the changes")).help(example))
        }
        Err(complaint) => Err(complaint),
    }
}

/// Where the API listens: an address of this machine and a port.
pub fn listen(text: &str) -> Result<SocketAddr, Complaint> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let complaint = Complaint::new(format!("{} is no address and port", quote(text)));
    Err(match text.strip_prefix("localhost:").filter(|port| port.parse::<u16>().is_ok()) {
        Some(port) => complaint.help(format!("write `127.0.0.1:{port}`")).replace(format!("127.0.0.1:{port}")),
        None => complaint.help("write an address of this machine and a port, such as `127.0.0.1:7633` or `0.0.0.0:7633`"),
    })
}

/// How browsers name us: scheme, host and perhaps a port, as they send it.
pub fn origin(text: &str) -> Result<String, Complaint> {
    let example = "write scheme, host and port, such as `https://sealift.example.net:7633`";
    let url = Url::parse(text)
        .ok()
        .filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        return Err(Complaint::new(format!("{} is no origin", quote(text))).help(example));
    };
    let alone = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !alone {
        return Err(Complaint::new(
            "an origin is scheme, host and port alone: the API has no path of its own",
        )
        .help(example));
    }
    Ok(url.origin().ascii_serialization())
}

fn env_name(text: &str) -> Result<(), Complaint> {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(());
    }
    // What is no name may be the secret itself.
    Err(Complaint::new("not the name of an environment variable")
        .help("write the variable's name, such as `SEALIFT_TOKEN`")
        .secret())
}

fn credential(text: &str) -> Result<(), Complaint> {
    if text.is_empty()
        || text.len() > 255
        || matches!(text, "." | "..")
        || text.contains(['/', '\0'])
    {
        let complaint = Complaint::new("not the name of a systemd credential").secret();
        return Err(
            complaint.help("write the name before the colon in the unit's `LoadCredential=`")
        );
    }
    Ok(())
}

/// A name of IAM: a user's or an account's.
fn account_name(text: &str) -> Result<(), Complaint> {
    let number = |text: &str| {
        text.parse::<f64>().is_ok()
            && text.parse::<u64>().map(|number| number.to_string()).as_deref() != Ok(text)
    };
    match text {
        _ if text.trim().is_empty() => Err(Complaint::new("names nobody")
            .help("write the name, or `{file: PATH}` for a file that holds it")),
        _ if text.len() > 255 || text.chars().any(char::is_control) => {
            Err(Complaint::new("not a name of IAM").secret())
        }
        // The typed reader would hand these out changed.
        "true" | "false" | "True" | "False" | "TRUE" | "FALSE" => {
            Err(Complaint::new("not a name of IAM"))
        }
        _ if number(text) => {
            Err(Complaint::new("a number of this kind cannot be told from a name"))
        }
        _ => Ok(()),
    }
}

/// A person's name: unlike any that is made for whoever has none.
fn person_name(text: &str) -> Result<(), Complaint> {
    plain_name(text, "a person's name")?;
    if Person::from(text).is_made_up() {
        return Err(Complaint::new("names of this form are given to whoever has none")
            .help("write the name that colleagues know"));
    }
    Ok(())
}

fn plain_name(text: &str, what: &str) -> Result<(), Complaint> {
    let plain = text.trim() == text
        && !text.is_empty()
        && text.len() <= 255
        && !text.chars().any(char::is_control);
    if plain { Ok(()) } else { Err(Complaint::new(format!("{} is not {what}", quote(text)))) }
}

/// The share of a quota that is left to others, below 100 %.
pub fn headroom(text: &str) -> Result<CountOrShare, Complaint> {
    match text.parse() {
        Ok(share @ CountOrShare::Hundredths(0..10_000)) => Ok(share),
        _ => Err(Complaint::new("not a share from `0%` to `99%`")
            .help("write the share of the quota that is left to others, such as `20%`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of two would check the texts of both.
    #[test]
    fn a_format_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = FORMATS.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), FORMATS.len());
    }

    #[test]
    fn an_endpoint_is_a_base_that_keeps_the_token_safe() {
        for (text, base) in [
            (
                "https://gaussdb.ap-southeast-3.myhuaweicloud.com",
                "https://gaussdb.ap-southeast-3.myhuaweicloud.com",
            ),
            (
                "https://gaussdb.ap-southeast-3.myhuaweicloud.com/",
                "https://gaussdb.ap-southeast-3.myhuaweicloud.com",
            ),
            ("https://HOST.example:8443", "https://host.example:8443"),
            ("http://127.0.0.1:7700", "http://127.0.0.1:7700"),
            ("http://[::1]:7700", "http://[::1]:7700"),
            ("http://localhost:7700/", "http://localhost:7700"),
        ] {
            assert_eq!(endpoint(text).as_deref(), Ok(base), "{text}");
        }
        for text in [
            "",
            "gaussdb.example.com",
            "http://gaussdb.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "https://user:pw@host.example",
            "https://host.example/v3",
            "https://host.example/?x",
            "https://host.example/#x",
            "ftp://host.example",
            "file:///etc/passwd",
            "unix:/run/x",
        ] {
            assert!(endpoint(text).is_err(), "{text:?} was taken as {:?}", endpoint(text));
        }
    }

    #[test]
    fn a_door_has_an_address_and_an_origin_without_a_path() {
        for text in ["127.0.0.1:7633", "0.0.0.0:7633", "[::1]:7633", "[::]:0"] {
            assert!(listen(text).is_ok(), "{text}");
        }
        for text in [
            "7633",
            ":7633",
            "127.0.0.1",
            "localhost:7633",
            "sealift.example.net:7633",
            "http://127.0.0.1:7633",
        ] {
            assert!(listen(text).is_err(), "{text}");
        }
        for (text, written) in [
            ("https://sealift.example.net:7633/", "https://sealift.example.net:7633"),
            ("https://SEALIFT.example.net:443", "https://sealift.example.net"),
            ("http://localhost:7633", "http://localhost:7633"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(written), "{text}");
        }
        for text in [
            "sealift.example.net",
            "https://a.example/sealift",
            "https://ada@a.example",
            "https://a.example/?x",
            "ftp://a.example",
            "*",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headroom_leaves_something_to_use() {
        assert_eq!(headroom("20%"), Ok(CountOrShare::Hundredths(2_000)));
        for text in ["100%", "20", "-1%", "a fifth"] {
            assert!(headroom(text).is_err(), "{text}");
        }
    }
}
