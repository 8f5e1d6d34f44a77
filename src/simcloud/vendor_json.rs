//! The JSON of the simulated cloud, in the vendor's shapes.
//!
//! Invariant: nothing written here needs escaping but what a gateway echoes, because every text is
//! an id, a number or a constant of ours; so the bodies are written directly, which makes the
//! emulator fast enough to serve a benchmark.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::addresses::Addresses;
use super::faults::{NodesShape, SslOptionShape};
use crate::domain::id::{InstanceId, ProxyId};

/// What a gateway's own error page looks like.
pub(super) const HTML_502: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
     <hr><center>api-gateway</center>\r\n</body>\r\n</html>\r\n";

/// What the service says, in English and in Chinese. What stands before it, the gateway, speaks
/// English alone.
const IN_CHINESE: &[(&str, &str)] = &[
    (
        "Another operation is being performed on the instance, or it is faulty.",
        "实例正在执行其他操作，或实例故障。",
    ),
    ("Parameter error.", "参数错误。"),
    ("Server failure. Contact customer service.", "服务器故障，请联系客服。"),
    ("The DB instance does not exist.", "实例不存在。"),
    ("The database proxy does not exist.", "数据库代理不存在。"),
    ("The instance ID or node ID format is invalid.", "实例ID或节点ID格式错误。"),
    ("The instance status does not allow this operation.", "实例状态不允许该操作。"),
    ("The job does not exist.", "任务不存在。"),
    ("The limit is invalid.", "limit参数错误。"),
    (
        "the proxy could not be restarted with the new configuration",
        "数据库代理无法以新的配置重启。",
    ),
];

/// A body in Chinese: the same but for what people read.
pub(super) fn in_chinese(body: &str) -> String {
    IN_CHINESE
        .iter()
        .fold(body.to_owned(), |body, (english, chinese)| body.replace(english, chinese))
}

pub(super) fn error(code: &str, message: &str) -> String {
    format!(r#"{{"error_code":"{code}","error_msg":"{message}"}}"#)
}

fn gateway(code: &str, message: &str) -> String {
    format!(r#"{{"error_msg":"{message}","error_code":"{code}"}}"#)
}

/// The gateway's refusal of who asks; what it says besides may be an echo of the request.
pub(super) fn unauthorised(detail: &str, request_id: &[u8; 32]) -> String {
    let message = format!("Incorrect IAM authentication information: {detail}");
    let [message, request_id] = [message.as_str(), ascii(request_id)].map(serde_json::Value::from);
    format!(r#"{{"error_msg":{message},"error_code":"APIGW.0301","request_id":{request_id}}}"#)
}

pub(super) fn throttled() -> String {
    gateway(
        "APIGW.0308",
        "The throttling threshold has been reached: policy user over ratelimit,limit:200,time:1 second",
    )
}

pub(super) fn token_expired() -> String {
    gateway("APIGW.0307", "The token must be updated.")
}

pub(super) fn server_failure() -> String {
    error("DBS.05000000", "Server failure. Contact customer service.")
}

/// Why a request reaches no operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestRefusal {
    /// No `X-Auth-Token`.
    TokenMissing,
    TokenWrong,
    /// A token that was good once.
    TokenExpired,
    /// A signature that does not hold, or of a key that is not known or locked.
    SignatureWrong,
    /// No API has this path and method.
    UnknownPath,
    /// Another project's id in the path.
    WrongProject,
    /// The body is not `{"ssl_option": <boolean>}`.
    BadBody,
    /// An id in the path does not have the documented form.
    BadId,
    /// `limit` or `offset` out of range.
    BadPage,
}

/// Status and body of a refusal.
pub(super) fn refusal(refusal: RequestRefusal) -> (u16, String) {
    match refusal {
        RequestRefusal::TokenMissing => (
            401,
            gateway(
                "APIGW.0301",
                "Incorrect IAM authentication information: x-auth-token not found",
            ),
        ),
        RequestRefusal::TokenWrong => (
            401,
            gateway("APIGW.0301", "Incorrect IAM authentication information: decrypt token fail"),
        ),
        RequestRefusal::TokenExpired => (401, token_expired()),
        RequestRefusal::SignatureWrong => (
            401,
            gateway(
                "APIGW.0301",
                "Incorrect IAM authentication information: verify aksk signature fail",
            ),
        ),
        RequestRefusal::UnknownPath => (
            404,
            gateway(
                "APIGW.0101",
                "The API does not exist or has not been published in the environment",
            ),
        ),
        RequestRefusal::WrongProject => (403, gateway("APIGW.0310", "The project is unavailable.")),
        RequestRefusal::BadBody => (400, error("DBS.280001", "Parameter error.")),
        RequestRefusal::BadId => {
            (400, error("DBS.280404", "The instance ID or node ID format is invalid."))
        }
        RequestRefusal::BadPage => (400, error("DBS.280439", "The limit is invalid.")),
    }
}

fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("made of hex digits and hyphens")
}

pub(super) fn job_id(id: &[u8; 36]) -> String {
    format!(r#"{{"job_id":"{}"}}"#, ascii(id))
}

pub(super) struct ProxyJson<'a> {
    pub id: &'a ProxyId,
    pub number: u32,
    pub address: Ipv4Addr,
    pub port: u16,
    pub ssl_option: bool,
    pub status: &'static str,
}

pub(super) fn proxies<'a>(
    instance: &InstanceId,
    rows: impl Iterator<Item = ProxyJson<'a>>,
    ssl_option: SslOptionShape,
    nodes: NodesShape,
) -> String {
    let mut text = String::with_capacity(1600);
    text.push_str(r#"{"proxy_list":["#);
    for (place, row) in rows.enumerate() {
        if place > 0 {
            text.push(',');
        }
        proxy(&mut text, instance, &row, ssl_option, nodes);
    }
    text.push_str("]}");
    text
}

fn proxy(
    text: &mut String,
    instance: &InstanceId,
    row: &ProxyJson<'_>,
    ssl_option: SslOptionShape,
    nodes: NodesShape,
) {
    let ProxyJson { id, number, address, port, ssl_option: on, status } = row;
    let stem = &id.as_str()[..32];
    let pool_status = if *status == "ABNORMAL" { "ABNORMAL" } else { "ACTIVE" };
    text.push_str(r#"{"proxy":{"pool_id":""#);
    text.push_str(id.as_str());
    text.push_str(r#"","status":""#);
    text.push_str(status);
    text.push_str(r#"","pool_status":""#);
    text.push_str(pool_status);
    text.push('"');
    match ssl_option {
        SslOptionShape::String => {
            text.push_str(if *on { r#","ssl_option":"true""# } else { r#","ssl_option":"false""# })
        }
        SslOptionShape::Boolean => {
            text.push_str(if *on { r#","ssl_option":true"# } else { r#","ssl_option":false"# })
        }
        SslOptionShape::Absent => {}
    }
    let _infallible =
        write!(text, r#","name":"proxy-{number}","address":"{address}","port":{port},"#);
    text.push_str(r#""delay_threshold_in_seconds":30,"vcpus":"2","ram":"8","node_num":2,"mode":"Cluster","type":"readwrite","#);
    text.push_str(r#""transaction_split":"ON","connection_pool_type":"CLOSED","route_mode":0,"consistence_mode":"eventual","#);
    text.push_str(r#""flavor_ref":"gaussdb.proxy.large.x86.2","nodes":[{"id":""#);
    text.push_str(stem);
    text.push_str(r#"pn01","name":"node-1","role":"master","az_code":"az1","status":"ACTIVE","frozen_flag":0}]},"#);
    text.push_str(r#""master_node":"#);
    node(text, instance, stem, "no01");
    text.push_str(r#","readonly_nodes":"#);
    if nodes == NodesShape::Array {
        text.push('[');
    }
    node(text, instance, stem, "no02");
    if nodes == NodesShape::Array {
        text.push(']');
    }
    text.push_str(r#","htap_nodes":[]}"#);
}

fn node(text: &mut String, instance: &InstanceId, stem: &str, suffix: &str) {
    text.push_str(r#"{"id":""#);
    text.push_str(stem);
    text.push_str(suffix);
    text.push_str(r#"","instance_id":""#);
    text.push_str(instance.as_str());
    text.push_str(r#"","status":"ACTIVE","name":"node","weight":100,"availability_zone":[{"code":"az1","description":"az1"}]}"#);
}

/// Instances by id, their number and that of their first proxy; every other one is tagged as one
/// for tests.
pub(super) fn instances<'a>(
    total: usize,
    rows: impl Iterator<Item = (&'a InstanceId, u32, u32)>,
    addresses: &Addresses,
) -> String {
    let mut text = String::from(r#"{"instances":["#);
    for (place, (id, number, proxy)) in rows.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let env = if number % 2 == 1 { "prod" } else { "test" };
        let [_, _, b, c] = proxy.to_be_bytes();
        let address = addresses.of(proxy);
        let _infallible = write!(
            text,
            r#"{comma}{{"id":"{id}","name":"emulated-{number}","status":"ACTIVE","private_ips":["127.255.{b}.{c}"],"readonly_private_ips":[],"proxy_ips":["{address}"],"public_ips":[],"port":"3306","type":"Cluster","region":"emulated","datastore":{{"type":"gaussdb-mysql","version":"8.0","kernel_version":"2.0.54.240600"}},"flavor_ref":"gaussdb.mysql.xlarge.x86.8","tags":[{{"key":"env","value":"{env}"}}]}}"#,
        );
    }
    let _infallible = write!(text, r#"],"total_count":{total}}}"#);
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobStatus {
    Pending,
    Running { percent: u8 },
    Completed,
    Failed,
}

impl JobStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running { .. } => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }

    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    fn process(self) -> String {
        match self {
            Self::Running { percent } => format!("{percent}%"),
            Self::Pending | Self::Completed | Self::Failed => String::new(),
        }
    }

    fn fail_reason(self) -> &'static str {
        if self == Self::Failed {
            "the proxy could not be restarted with the new configuration"
        } else {
            ""
        }
    }
}

pub(super) struct JobJson<'a> {
    pub id: [u8; 36],
    pub name: &'static str,
    pub instance_id: &'a InstanceId,
    pub created: Timestamp,
    pub ended: Option<Timestamp>,
    pub status: JobStatus,
}

/// `2018-08-06T10:41:14+0800`: the offset has no colon.
fn time(instant: Timestamp) -> impl std::fmt::Display {
    instant.strftime("%Y-%m-%dT%H:%M:%S+0000")
}

pub(super) fn job(row: &JobJson<'_>) -> String {
    let JobJson { id, name, instance_id, created, ended, status } = row;
    let mut text = String::with_capacity(360);
    let _infallible = write!(
        text,
        r#"{{"job":{{"id":"{}","name":"{name}","status":"{}","created":"{}","process":"{}","instance":{{"id":"{instance_id}","name":"instance"}},"entities":{{}}"#,
        ascii(id),
        status.as_str(),
        time(*created),
        status.process(),
    );
    if let Some(ended) = ended {
        let _infallible = write!(text, r#","ended":"{}""#, time(*ended));
    }
    if *status == JobStatus::Failed {
        let _infallible = write!(text, r#","fail_reason":"{}""#, status.fail_reason());
    }
    text.push_str("}}");
    text
}

pub(super) fn jobs<'a>(total: usize, rows: impl Iterator<Item = JobJson<'a>>) -> String {
    let mut text = String::from(r#"{"jobs":["#);
    for (place, JobJson { id, name, instance_id, created, ended, status }) in rows.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let _infallible = write!(
            text,
            r#"{comma}{{"instance_id":"{instance_id}","instance_name":"instance","instance_status":"normal","job_id":"{}","job_name":"{name}","status":"{}","process":"{}","created_time":"{}","ended_time":"{}","fail_reason":"{}","order_id":"","show_detail":false}}"#,
            ascii(&id),
            status.as_str(),
            status.process(),
            time(created),
            ended.map(|ended| time(ended).to_string()).unwrap_or_default(),
            status.fail_reason(),
        );
    }
    let _infallible = write!(text, r#"],"total_count":{total}}}"#);
    text
}
