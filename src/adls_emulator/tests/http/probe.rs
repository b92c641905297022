use livedata_adls_emulator::run;

use crate::client::Fixture;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: livedata_adls_emulator::Args,
}

fn line(words: &[&str]) -> livedata_adls_emulator::Args {
    <Line as clap::Parser>::parse_from([&["adls-emulator"], words].concat()).args
}

#[tokio::test]
async fn a_probe_tells_whether_an_emulator_serves() {
    let fixture = Fixture::in_memory().await;
    let admin = fixture.running.admin_address();
    // As in a container, where it listens on all addresses.
    let everywhere = format!("0.0.0.0:{}", admin.port());
    let probe = async || run(line(&["--admin-listen", &everywhere, "--probe"]), std::future::pending()).await;
    probe().await.unwrap();
    fixture.running.stop().await.unwrap();
    let error = probe().await.unwrap_err();
    assert_eq!(error.to_string(), format!("no emulator serves at {admin}"));
}

/// A container's arguments come behind those of its image.
#[tokio::test]
async fn the_last_address_counts() {
    let args = line(&["--in-memory", "--listen", "0.0.0.0:10004", "--listen", "127.0.0.1:7"]);
    assert_eq!(args.listen.to_string(), "127.0.0.1:7");
}
