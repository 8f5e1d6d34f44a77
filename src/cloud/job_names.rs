//! Names in the job list that are surely other operations.
//!
//! Invariant: a name is listed only if the vendor documents it for something else than switching
//! SSL of a proxy. The vendor publishes no name for that switch, so an unknown name may be ours,
//! and `GaussDBforMySQLSwitchSSL` (documented for the instance) may be too.

use crate::domain::call::JobSeen;

/// Sources: vendor page ListImmediateJobs, editions of 2024-12-11 to 2026-01-05, values of
/// `job_name`; the vendor's Python SDK, model `ScheduleTask` (an early edition has
/// `ReduceGaussDBforMySQLProxy`, 3.1.219 the five words in capitals).
const OTHER_OPERATIONS: [&str; 29] = [
    "AddGaussDBforMySQLNodes",
    "CloseGaussDBforMySQLProxy",
    "CreateGaussDBforMySQLInstance",
    "DeleteGaussDBforMySQLInstance",
    "DeleteGaussDBforMySQLNode",
    "EnlargeGaussDBforMySQLProxy",
    "GaussDBforMySQLBindEIP",
    "GaussDBforMySQLModifyInstanceDataVip",
    "GaussDBforMySQLModifyInstanceMetricExtend",
    "GaussDBforMySQLModifyProxyConsist",
    "GaussDBforMySQLModifyProxyWeight",
    "GaussDBforMySQLUnbindEIP",
    "GaussdbforMySQLModifyProxyIp",
    "ModifyGaussDBforMySQLPort",
    "ModifyGaussDBforMySQLSecurityGroup",
    "OpenGaussDBforMySQLProxy",
    "PROXY_VERSION_UPGRADE",
    "REBOOT_INSTANCE",
    "REBOOT_NODE",
    "RESIZE_FLAVOR",
    "RebootGaussDBforMySQLInstance",
    "ReduceGaussDBforMySQLProxy",
    "RenameGaussDBforMySQLInstance",
    "ResizeGaussDBforMySQLFlavor",
    "RestoreGaussDBforMySQLNewInstance",
    "ScaleGaussDBforMySQLProxy",
    "SwitchoverGaussDBforMySQLMasterNode",
    "UpgradeGaussDBforMySQLDatabaseVersion",
    "VERSION_UPGRADE",
];

/// Whether a job of this name is surely not a switch of a proxy's SSL.
pub fn is_other_operation(name: &str) -> bool {
    OTHER_OPERATIONS.binary_search(&name).is_ok()
}

/// Drops the rows that are surely other operations.
pub fn drop_other_operations(jobs: &mut Vec<JobSeen>) {
    jobs.retain(|job| !is_other_operation(&job.name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_other_operations_are_ruled_out_and_nothing_else() {
        assert!(OTHER_OPERATIONS.is_sorted(), "the table is searched by halves");
        for name in OTHER_OPERATIONS {
            assert!(is_other_operation(name), "{name}");
        }
        for name in [
            "",
            "GaussDBforMySQLSwitchSSL",
            "SwitchGaussDBforMySQLProxySSL",
            "enlargeGaussDBforMySQLProxy",
        ] {
            assert!(!is_other_operation(name), "{name}");
        }
    }
}
