fn main() {
    let start = std::env::args().nth(1).unwrap();
    match sealift::planfile::load(std::path::Path::new(&start)) {
        Ok(l) => {
            println!("{} targets {:#?}", l.targets.len(), l.plan);
            print!("{}", sealift::planfile::render_warnings(&l.warnings, false));
        }
        Err(e) => print!("{}", e.render(false)),
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for l in status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS")) {
        eprintln!("{l}");
    }
}
