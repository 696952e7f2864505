// Has 200 children at once.
fn main() {
    if std::env::args().nth(1).is_some() {
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let children: Vec<_> = (0..200)
        .map(|_| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .arg("child")
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    println!("cargo::warning=all done");
}
