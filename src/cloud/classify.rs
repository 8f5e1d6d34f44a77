//! What an error answer means we must do: the cloud's codes as a table.
//!
//! Invariants: the code decides before the HTTP status, because sister products send the same code
//! with different statuses; what neither table lists is decided by the status; whatever could have
//! been executed is `Unknown`.
//!
//! Sources: gateway codes from the API gateway's published error table; service codes from the
//! published GaussDB(for MySQL) error table and the list that the vendor's Terraform provider
//! retries. The classes are ours.

use crate::domain::call::Disposition::{
    self, Busy, Fatal, NotDone, NotFound, Throttled, Unauthorised, Unknown,
};

/// Gateway codes (`APIGW.nnnn`, `APIG.nnnn`) that mean the same with every status.
const GATEWAY: &[(&str, Disposition)] = &[
    // Unknown API, method, or API not published: the endpoint or the path is wrong, repeating
    // cannot help.
    ("0101", Fatal),
    // Backend or plug-in missing: refused before any backend was reached.
    ("0103", NotDone),
    ("0104", NotDone),
    ("0105", NotDone),
    // Backend unavailable or timed out (newer numbering): it may have got the request.
    ("0202", Unknown),
    ("0203", Unknown),
    ("0301", Unauthorised),
    ("0302", Fatal),
    ("0305", Unauthorised),
    ("0306", Fatal),
    ("0307", Unauthorised),
    ("0308", Throttled),
    ("0310", Fatal),
    ("0401", Fatal),
    ("0402", Fatal),
    ("0404", Fatal),
    ("0501", Fatal),
    ("0502", Fatal),
    // "Internal server error" does not say when it happened.
    ("0601", Unknown),
    // The gateway's own DNS, configuration, admin token, VPC channel, port and loop errors: no
    // backend was reached.
    ("0605", NotDone),
    ("0606", NotDone),
    ("0607", Fatal),
    ("0608", NotDone),
    ("0609", NotDone),
    ("0610", NotDone),
    ("0611", NotDone),
    ("0612", NotDone),
    ("0613", NotDone),
    ("0801", Fatal),
    ("0802", Fatal),
];

/// Service codes (`DBS.…`).
const SERVICE: &[(&str, Disposition)] = &[
    // Another operation runs, or the instance is faulty; the status of the proxy tells which,
    // later.
    ("200011", Busy),
    ("200019", Busy),
    ("200047", Busy),
    ("201202", Busy),
    ("212006", Busy),
    ("201015", Busy),
    ("05000084", Busy),
    ("212033", Busy),
    ("201014", Busy),
    ("200086", Busy),
    ("280406", Busy),
    ("201205", Busy),
    // Storage full: waiting does not empty it.
    ("200316", Fatal),
    ("200932", NotFound),
    ("270024", NotFound),
    ("270027", Fatal),
    ("201028", NotFound),
    ("200002", NotFound),
    ("200013", NotFound),
    ("200045", NotFound),
    ("200408", NotFound),
    ("200602", NotFound),
    ("290005", NotFound),
    ("290011", NotFound),
    ("290013", NotFound),
    // "Not found or no permission": a person must look.
    ("200044", Fatal),
    ("201003", Fatal),
    ("280015", Fatal),
    ("200010", Fatal),
    ("200604", Fatal),
    ("280056", Unauthorised),
    ("200001", Fatal),
    ("200004", Fatal),
    ("200006", Fatal),
    ("212030", Fatal),
    ("280001", Fatal),
    ("280204", Fatal),
    ("290000", Fatal),
    ("290001", Fatal),
    ("280404", Fatal),
    ("280439", Fatal),
    ("280449", Fatal),
    ("280238", Fatal),
    ("200040", Fatal),
    ("05000001", Fatal),
    ("200543", NotFound),
    ("200046", Fatal),
    ("290003", Fatal),
    ("05000000", Unknown),
    ("108000", Unknown),
    ("108002", Unknown),
    ("108005", Unknown),
    ("200005", Unknown),
    ("200208", Unknown),
    ("213002", Unknown),
    ("213004", Unknown),
    ("290006", Unknown),
    ("290015", Unknown),
];

/// What must be done about an answer that is no success. `retry_after`: whether the answer had that
/// header.
pub fn classify(status: u16, code: Option<&str>, retry_after: bool) -> Disposition {
    code.and_then(|code| by_code(status, code)).unwrap_or_else(|| by_status(status, retry_after))
}

fn by_code(status: u16, code: &str) -> Option<Disposition> {
    let (family, number) = code.split_once('.')?;
    let table = match family.to_ascii_uppercase().as_str() {
        // 0201 stands for a bad request and, with 5xx, for a backend that failed.
        "APIGW" | "APIG" if number == "0201" => {
            return Some(if status < 500 { Fatal } else { Unknown });
        }
        "APIGW" | "APIG" => GATEWAY,
        "DBS" => SERVICE,
        _ => return None,
    };
    table.iter().find(|(listed, _)| *listed == number).map(|(_, disposition)| *disposition)
}

fn by_status(status: u16, retry_after: bool) -> Disposition {
    match status {
        401 => Unauthorised,
        404 => NotFound,
        409 => Busy,
        429 => Throttled,
        // The vendor's status page lets 413 carry `Retry-After`, which then means: too many, not
        // too large.
        413 if retry_after => Throttled,
        // A server that gave up waiting for the request does not say what it had understood by
        // then.
        408 => Unknown,
        300..=499 => Fatal,
        // 5xx, and whatever is no HTTP status: it may have been executed.
        _ => Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per row of the published tables that matters: status, code, what we do.
    const ROWS: &[(u16, &str, Disposition)] = &[
        (404, "APIGW.0101", Fatal),
        (404, "APIG.0103", NotDone),
        (500, "APIGW.0105", NotDone),
        (400, "APIGW.0201", Fatal),
        (413, "APIGW.0201", Fatal),
        (414, "APIGW.0201", Fatal),
        (494, "APIGW.0201", Fatal),
        (502, "APIGW.0201", Unknown),
        (504, "APIG.0201", Unknown),
        (500, "APIG.0201", Unknown),
        (502, "APIGW.0202", Unknown),
        (504, "APIGW.0203", Unknown),
        (401, "APIGW.0301", Unauthorised),
        (401, "APIG.0305", Unauthorised),
        (403, "APIGW.0302", Fatal),
        (403, "APIGW.0306", Fatal),
        (401, "APIGW.0307", Unauthorised),
        (429, "APIGW.0308", Throttled),
        (403, "APIGW.0310", Fatal),
        (403, "APIGW.0401", Fatal),
        (405, "APIGW.0501", Fatal),
        (405, "APIGW.0502", Fatal),
        (500, "APIGW.0601", Unknown),
        (500, "APIGW.0605", NotDone),
        (500, "APIGW.0612", NotDone),
        (400, "APIGW.0607", Fatal),
        (502, "APIGW.0610", NotDone),
        (503, "APIGW.0613", NotDone),
        (403, "APIGW.0801", Fatal),
        (403, "APIGW.0802", Fatal),
        (409, "DBS.200011", Busy),
        (409, "DBS.200019", Busy),
        (403, "DBS.200019", Busy),
        (400, "DBS.200047", Busy),
        (409, "DBS.201202", Busy),
        (409, "DBS.212006", Busy),
        (409, "DBS.201015", Busy),
        (409, "DBS.05000084", Busy),
        (403, "DBS.212033", Busy),
        (400, "DBS.201014", Busy),
        (400, "DBS.200086", Busy),
        (409, "DBS.280406", Busy),
        (409, "DBS.201205", Busy),
        (409, "DBS.200316", Fatal),
        (409, "DBS.200932", NotFound),
        (400, "DBS.270024", NotFound),
        (400, "DBS.270027", Fatal),
        (404, "DBS.201028", NotFound),
        (400, "DBS.201028", NotFound),
        (404, "DBS.200013", NotFound),
        (403, "DBS.201003", Fatal),
        (403, "DBS.200010", Fatal),
        (403, "DBS.280056", Unauthorised),
        (400, "DBS.280001", Fatal),
        (400, "DBS.280404", Fatal),
        (400, "DBS.280439", Fatal),
        (400, "DBS.280449", Fatal),
        (400, "DBS.280238", Fatal),
        (400, "DBS.05000001", Fatal),
        (400, "DBS.200543", NotFound),
        (413, "DBS.200046", Fatal),
        (500, "DBS.05000000", Unknown),
        (500, "DBS.200208", Unknown),
        (500, "DBS.290015", Unknown),
        // Not listed: the status decides.
        (400, "DBS.200461", Fatal),
        (409, "DBS.200826", Busy),
        (422, "DBS.212019", Fatal),
        (403, "DBS.200810", Fatal),
        (500, "DBS.200811", Unknown),
        (401, "IAM.0011", Unauthorised),
        (403, "nonsense", Fatal),
    ];

    #[test]
    fn every_listed_row_has_its_class() {
        for (status, code, expected) in ROWS {
            assert_eq!(classify(*status, Some(code), false), *expected, "{status} {code}");
        }
    }

    #[test]
    fn the_status_decides_without_a_code() {
        for (status, expected) in [
            (301, Fatal),
            (307, Fatal),
            (400, Fatal),
            (401, Unauthorised),
            (403, Fatal),
            (404, NotFound),
            (405, Fatal),
            (408, Unknown),
            (409, Busy),
            (413, Fatal),
            (418, Fatal),
            (429, Throttled),
            (500, Unknown),
            (502, Unknown),
            (503, Unknown),
            (504, Unknown),
            (599, Unknown),
            (999, Unknown),
        ] {
            assert_eq!(classify(status, None, false), expected, "{status}");
        }
        assert_eq!(classify(413, None, true), Throttled);
    }

    #[test]
    fn no_code_stands_twice() {
        for table in [GATEWAY, SERVICE] {
            let mut codes: Vec<_> = table.iter().map(|(code, _)| code).collect();
            codes.sort_unstable();
            assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}
