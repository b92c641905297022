use livedata_front_door::{AzConfig, write_az_config};

#[test]
fn the_folder_names_the_cloud_its_addresses_and_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("it's azure");
    let config = AzConfig {
        cloud_name: "TestCloud",
        public_url: &"https://localhost:8443".parse().unwrap(),
        ca_pem_path: &folder.path().join("ca.pem"),
    };
    write_az_config(&directory, &config).unwrap();
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let clouds = read("clouds.config");
    assert!(clouds.starts_with("[TestCloud]\n"));
    for line in [
        "endpoint_resource_manager = https://localhost:8443\n",
        "endpoint_active_directory = https://localhost:8443\n",
        "endpoint_active_directory_resource_id = https://localhost:8443/\n",
    ] {
        assert!(clouds.contains(line), "{line}{clouds}");
    }
    assert!(read("config").contains("[cloud]\nname = TestCloud\n"));
    assert!(read("config").contains("instance_discovery = false\n"));
    let shown = std::process::Command::new("sh")
        .args(["-c", ". \"$1\"; printf %s \"$AZURE_CONFIG_DIR|$REQUESTS_CA_BUNDLE\"", "sh"])
        .arg(directory.join("environment"))
        .output()
        .unwrap();
    let expected = format!("{}|{}", directory.display(), folder.path().join("ca.pem").display());
    assert_eq!(String::from_utf8(shown.stdout).unwrap(), expected);
    write_az_config(&directory, &config).unwrap();
}
