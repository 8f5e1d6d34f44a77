//! The vendor's regions, and where the two services of a lane are spoken to in each.
//!
//! The host of GaussDB(for MySQL) has one of three names, by region; that of IAM is the same in
//! all. Source: the table of the vendor's SDK (`huaweicloudsdkgaussdb`, 3.1.219).

use crate::yaml::format::Complaint;
use crate::yaml::{quote, suggest};

/// The regions in the order of their names, each with the first part of the service's host.
const REGIONS: [(&str, &str); 20] = [
    ("af-south-1", "gaussdb-mysql"),
    ("ap-southeast-1", "gaussdbformysql"),
    ("ap-southeast-2", "gaussdbformysql"),
    ("ap-southeast-3", "gaussdb"),
    ("ap-southeast-4", "gaussdb"),
    ("cn-east-3", "gaussdb"),
    ("cn-east-5", "gaussdb-mysql"),
    ("cn-north-11", "gaussdbformysql"),
    ("cn-north-2", "gaussdb"),
    ("cn-north-4", "gaussdb"),
    ("cn-north-9", "gaussdb"),
    ("cn-south-1", "gaussdb"),
    ("cn-south-4", "gaussdb"),
    ("cn-southwest-2", "gaussdb"),
    ("cn-southwest-3", "gaussdb-mysql"),
    ("la-north-2", "gaussdb-mysql"),
    ("me-east-1", "gaussdbformysql"),
    ("ru-northwest-2", "gaussdb"),
    ("sa-brazil-1", "gaussdb"),
    ("tr-west-1", "gaussdbformysql"),
];

/// Regions that are proposed for one that is not known: as many as one reads.
const NEAR_MAX: usize = 4;

/// A region of the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    name: &'static str,
    host: &'static str,
}

impl Region {
    /// The region of that name.
    pub fn of(name: &str) -> Option<Self> {
        let known = REGIONS.iter().find(|(known, _)| *known == name);
        known.map(|(name, host)| Self { name, host })
    }

    /// Base of the service's URLs.
    pub fn endpoint(self) -> String {
        format!("https://{}.{}.myhuaweicloud.com", self.host, self.name)
    }

    /// Base of IAM's URLs.
    pub fn iam_endpoint(self) -> String {
        format!("https://iam.{}.myhuaweicloud.com", self.name)
    }
}

/// The check of a region's name: of one that is not known the nearest are told.
pub fn check(text: &str) -> Result<(), Complaint> {
    if Region::of(text).is_some() {
        return Ok(());
    }
    let complaint = Complaint::new(format!("{} is no region that is known here", quote(text)));
    let names = || REGIONS.iter().map(|(name, _)| *name);
    // Of the same part of the world; else, by the letters, what was probably meant.
    let part = text.split('-').next().unwrap_or(text).to_ascii_lowercase();
    let mut near: Vec<&str> =
        names().filter(|name| name.split('-').next() == Some(&part)).collect();
    near.sort_by_key(|name| suggest::distance(text, name));
    near.truncate(NEAR_MAX);
    if near.is_empty() {
        near.extend(suggest::nearest(text, names()));
    }
    let instead = "write `endpoint`, and `iam_endpoint` for a user with a password";
    Err(match near.as_slice() {
        [] => complaint.help(format!("{instead}; known are {}", list(names()))),
        [nearest, ..] => complaint
            .help(format!("near it are {}; of any other, {instead}", list(near.iter().copied())))
            .replace(*nearest),
    })
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_the_service_differs_by_region_and_that_of_iam_does_not() {
        for (name, host) in [
            ("ap-southeast-3", "gaussdb"),
            ("ap-southeast-1", "gaussdbformysql"),
            ("cn-east-5", "gaussdb-mysql"),
        ] {
            let region = Region::of(name).expect("it is in the table");
            assert_eq!(region.endpoint(), format!("https://{host}.{name}.myhuaweicloud.com"));
            assert_eq!(region.iam_endpoint(), format!("https://iam.{name}.myhuaweicloud.com"));
        }
        assert!(REGIONS.is_sorted(), "a listing shows them in their order");
    }

    #[test]
    fn an_unknown_region_tells_the_near_ones() {
        let help = |text: &str| {
            let complaint = check(text).expect_err(text);
            (complaint.help.expect("a next step"), complaint.replacement)
        };
        let (near, first) = help("ap-southeast-5");
        assert!(near.contains("`ap-southeast-1`") && near.contains("`ap-southeast-4`"), "{near}");
        assert!(first.is_some_and(|first| first.starts_with("ap-southeast-")));
        assert_eq!(help("cn-nort-4").1.as_deref(), Some("cn-north-4"));
        let (all, none) = help("eu-de");
        assert!(none.is_none() && all.contains("`tr-west-1`"), "{all}");
        assert_eq!(check("la-north-2"), Ok(()));
    }
}
