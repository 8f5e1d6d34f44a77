//! A real MariaDB server of Debian's packages in a folder that goes with the test.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::probe::authority::CertificateAndKey;

/// Tables that every server needs, as the package brings them.
const TABLES: [&str; 2] =
    ["/usr/share/mysql/mysql_system_tables.sql", "/usr/share/mysql/mysql_system_tables_data.sql"];

/// How often a server's log is looked at for its readiness, and how long between: a minute in all,
/// for a busy machine.
const LOOKS: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(100);

/// Lets anybody connect from anywhere, so that the server greets; the password is nobody's secret
/// and never used.
pub const ACCOUNT: &str = "CREATE USER 'app'@'%' IDENTIFIED BY 'unused';\n";

/// TLS before 1.2 is what OpenSSL refuses by itself today.
const OLD_TLS: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = old\n[old]\nMinProtocol = TLSv1\nCipherString = DEFAULT:@SECLEVEL=0\n";

/// A running server; it ends when this is dropped, in a panic too.
pub struct MariaDb {
    child: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

/// How a server is started.
#[derive(Default)]
pub struct ServerSetup<'a> {
    /// With TLS, by this certificate.
    pub identity: Option<&'a CertificateAndKey>,
    pub options: &'a [&'a str],
    /// Instead of [`ACCOUNT`].
    pub statements: Option<&'a str>,
    /// TLS 1.1 is allowed to it.
    pub old_tls: bool,
    /// It counts broken connections by host, which it does only for hosts whose names it looks up.
    pub counts_hosts: bool,
}

impl MariaDb {
    pub fn start(setup: &ServerSetup<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        bootstrap(folder.path());
        fs::write(folder.path().join("init.sql"), setup.statements.unwrap_or(ACCOUNT))
            .expect("written");
        fs::write(folder.path().join("openssl.cnf"), OLD_TLS).expect("written");
        if let Some(identity) = setup.identity {
            fs::write(folder.path().join("server.pem"), &identity.certificate).expect("written");
            fs::write(folder.path().join("server.key"), &identity.key).expect("written");
        }
        // Somebody else may take the port between our look and the server's start.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")
                .expect("a free port")
                .local_addr()
                .expect("its address")
                .port();
            let mut child = launch(folder.path(), port, setup);
            if ready(folder.path(), &mut child) {
                return Self { child, port, folder };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!(
            "mariadbd does not start: {}",
            fs::read_to_string(folder.path().join("log")).unwrap_or_default()
        );
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &Path, port: u16, setup: &ServerSetup<'_>) -> Child {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut command = server(folder);
    command.arg(format!("--port={port}")).arg("--bind-address=127.0.0.1");
    if setup.counts_hosts {
        // A resolver that does not answer shall not hold the test.
        command.env("RES_OPTIONS", "timeout:1 attempts:1");
    } else {
        command.arg("--skip-name-resolve");
    }
    command.arg(format!("--socket={}", file("socket"))).arg(format!("--pid-file={}", file("pid")));
    command.arg(format!("--init-file={}", file("init.sql")));
    if setup.identity.is_some() {
        command
            .arg(format!("--ssl-cert={}", file("server.pem")))
            .arg(format!("--ssl-key={}", file("server.key")));
    } else {
        command.arg("--skip-ssl");
    }
    if setup.old_tls {
        command.env("OPENSSL_CONF", folder.join("openssl.cnf"));
    }
    command.args(setup.options).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(File::create(folder.join("log")).expect("a log"));
    command.spawn().expect("mariadbd starts")
}

fn ready(folder: &Path, child: &mut Child) -> bool {
    for _ in 0..LOOKS {
        if fs::read_to_string(folder.join("log"))
            .is_ok_and(|log| log.contains("ready for connections"))
        {
            return true;
        }
        if child.try_wait().expect("our child").is_some() {
            return false;
        }
        std::thread::sleep(BETWEEN);
    }
    false
}

/// The server program over this folder, as small as it can be.
fn server(folder: &Path) -> Command {
    let program = ["/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    let program = program.expect("mariadbd is installed: scripts/setup-tests.sh does it");
    let mut command = Command::new(program);
    command.args([
        "--no-defaults",
        "--innodb-buffer-pool-size=8M",
        "--innodb-log-file-size=4M",
        "--innodb-autoextend-increment=1",
    ]);
    command.args([
        "--innodb-data-file-path=ibdata1:1M:autoextend",
        "--innodb-temp-data-file-path=ibtmp1:1M:autoextend",
    ]);
    command.args(["--innodb-flush-method=nosync", "--performance-schema=OFF"]);
    command.arg(format!("--datadir={}", folder.join("data").display()));
    // Two servers that share one folder for temporary tables take each other's away.
    command.arg(format!("--tmpdir={}", folder.display()));
    if rustix::process::geteuid().is_root() {
        // Root must say that it means it. Nobody but this test can reach the server's folder.
        command.arg("--user=root");
    }
    command
}

/// What `mariadb-install-db` does, without the client's package that it needs.
fn bootstrap(folder: &Path) {
    fs::create_dir(folder.join("data")).expect("a folder");
    let mut script = String::from(
        "create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\nset @skip_auth_anonymous=1;\n",
    );
    for tables in TABLES {
        script += &fs::read_to_string(tables)
            .expect("the package's tables: scripts/setup-tests.sh installs them");
    }
    let input = folder.join("bootstrap.sql");
    fs::write(&input, script).expect("written");
    let output = server(folder)
        .arg("--bootstrap")
        .stdin(File::open(input).expect("readable"))
        .output()
        .expect("mariadbd runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
