//! The API client over TLS: it accepts valid certificates, describes invalid ones, and sends the
//! key over trusted connections only. Also HTTP/2, which is used over TLS only.
//!
//! A process reads its trusted certificates from the environment (`SSL_CERT_FILE`), which cannot be
//! changed safely at run time. So each test starts itself again with its own certificate authority.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kietop::{
    adapters::{
        kie::{KieClient, RequestLimits, key::ApiKey},
        log,
    },
    domain::{
        api_origin::ApiOrigin,
        poll_result::{ErrorScope, PollError, PollResult},
        response_notes::ResponseNotes,
        task::TaskId,
    },
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::support::{
    poll_request,
    rerun::{assert_passes, job_path, rerun_test},
};

const RUNNING: &str = r#"{"code":200,"msg":"success","data":{"successFlag":0}}"#;
const CANARY: &str = "canary-5d1f0c2b-key";
const TRUSTED_NAME: &str = "kietop test authority";

/// Short for a test, but long enough for a busy machine.
const SHORT_LIMITS: RequestLimits = RequestLimits {
    connect_timeout: Duration::from_secs(5),
    read_timeout: Duration::from_secs(1),
    total_timeout: Duration::from_secs(5),
    idle_timeout: Duration::from_secs(30),
    max_body_len: 64 * 1024,
};

/// A certificate authority.
struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
}

impl TestAuthority {
    fn authority_params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// Creates an authority that the client does not trust.
    fn untrusted(name: &str) -> Self {
        Self {
            issuer: Issuer::new(Self::authority_params(name), KeyPair::generate().unwrap()),
        }
    }

    /// Creates the trusted authority and writes it to a folder for [`Self::load_from`].
    fn create_in(folder: &Path) {
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let certificate = Self::authority_params(TRUSTED_NAME)
            .self_signed(&key)
            .unwrap();
        fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    }

    fn load_from(folder: &Path) -> Self {
        let key = KeyPair::from_pem(&fs::read_to_string(folder.join("key.pem")).unwrap()).unwrap();
        Self {
            issuer: Issuer::new(Self::authority_params(TRUSTED_NAME), key),
        }
    }

    fn sign(&self, params: &CertificateParams) -> ServerCertificate {
        let key = KeyPair::generate().unwrap();
        ServerCertificate {
            chain: params.signed_by(&key, &self.issuer).unwrap().into(),
            key,
        }
    }
}

struct ServerCertificate {
    chain: CertificateDer<'static>,
    key: KeyPair,
}

impl ServerCertificate {
    fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.chain.clone()], key.into())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn loopback_params() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".into()]).unwrap()
}

/// Runs a test in its own process, which trusts a new authority only.
fn with_authority(name: &str, test: impl AsyncFnOnce(TestAuthority)) {
    if let Some(folder) = job_path() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        log::start(&folder.join("log"), tracing::Level::TRACE).unwrap();
        let authority = TestAuthority::load_from(&folder);
        return runtime.unwrap().block_on(test(authority));
    }
    let folder = tempfile::tempdir().unwrap();
    TestAuthority::create_in(folder.path());
    let mut inner = rerun_test(&format!("kie_tls::{name}"), folder.path());
    inner
        .env("SSL_CERT_FILE", folder.path().join("ca.pem"))
        // Browsers and curl write their session keys there; kietop must not.
        .env("SSLKEYLOGFILE", folder.path().join("session-keys"))
        .env_remove("SSL_CERT_DIR");
    assert_passes(&mut inner);
    assert!(!folder.path().join("session-keys").exists());
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("TRACE") && !log.contains(CANARY), "{log}");
}

/// Starts a server that handles each connection with `handle`; returns its address.
async fn serve<F>(handle: impl Fn(TcpStream, usize) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut connection = 0;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream, connection));
            connection += 1;
        }
    });
    origin
}

fn client(origin: &str) -> KieClient {
    let key = ApiKey::parse(CANARY).unwrap();
    KieClient::new(ApiOrigin::parse(origin).unwrap(), Some(key), SHORT_LIMITS)
}

async fn fetch(client: &KieClient) -> PollResult {
    let id = TaskId::parse("774d9a7dd608a0e49293903095e45a4c").unwrap();
    client
        .poll(&poll_request(id), &mut ResponseNotes::default())
        .await
}

/// Reads the head of a request.
async fn read_head(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

// F8, F9
#[test]
fn only_a_valid_certificate_gets_the_key() {
    with_authority("only_a_valid_certificate_gets_the_key", async |authority| {
        let self_signed = |params: CertificateParams| {
            let key = KeyPair::generate().unwrap();
            let chain = params.self_signed(&key).unwrap().into();
            ServerCertificate { chain, key }
        };
        let mut expired = loopback_params();
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        let mut future = loopback_params();
        future.not_before = date_time_ymd(2095, 1, 1);
        let elsewhere = CertificateParams::new(vec!["login.hotel.example".into()]).unwrap();
        let mut own_authority = loopback_params();
        own_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);

        let clock = "or this computer's clock is wrong";
        let table = [
            ("good", authority.sign(&loopback_params()), None),
            (
                "self-signed",
                self_signed(loopback_params()),
                Some("unknown certificate authority"),
            ),
            (
                "its own authority",
                self_signed(own_authority),
                Some("self-signed certificate"),
            ),
            (
                "of a stranger",
                TestAuthority::untrusted("x").sign(&loopback_params()),
                Some("unknown certificate authority"),
            ),
            (
                "forged",
                TestAuthority::untrusted(TRUSTED_NAME).sign(&loopback_params()),
                Some("invalid signature"),
            ),
            (
                "expired",
                authority.sign(&expired),
                Some(&*format!("expired, {clock}")),
            ),
            (
                "early",
                authority.sign(&future),
                Some(&*format!("not valid yet, {clock}")),
            ),
            (
                "of a portal",
                authority.sign(&elsewhere),
                Some("not issued for HOST"),
            ),
        ];
        for (name, certificate, refusal) in table {
            let requests = Arc::new(AtomicUsize::new(0));
            let (acceptor, counter) = (certificate.acceptor(&[b"http/1.1"]), Arc::clone(&requests));
            let origin = serve(move |stream, _| {
                let (acceptor, counter) = (acceptor.clone(), Arc::clone(&counter));
                async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    while let Some(head) = read_head(&mut stream).await {
                        assert!(head.contains(CANARY));
                        counter.fetch_add(1, Ordering::SeqCst);
                        let length = RUNNING.len();
                        let answer =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{RUNNING}");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            })
            .await;

            let result = fetch(&client(&origin)).await;

            let Some(refusal) = refusal else {
                assert!(result.is_ok(), "{name}: {result:?}");
                assert_eq!(requests.load(Ordering::SeqCst), 1);
                continue;
            };
            let error = result.unwrap_err();
            let PollError::Untrusted(reason) = &error else {
                panic!("{name}: {error:?}");
            };
            let host = origin.trim_start_matches("https://");
            assert_eq!(reason.as_str().replace(host, "HOST"), refusal, "{name}");
            assert_eq!(error.scope(), ErrorScope::Account, "shown once");
            assert!(error.next_step().contains("network login page"));
            assert_eq!(requests.load(Ordering::SeqCst), 0, "{name} got a request");
        }
    });
}

// F8
#[test]
fn a_server_without_safe_tls_is_refused() {
    with_authority("a_server_without_safe_tls_is_refused", async |_| {
        let mut old_hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
        old_hello.extend([7; 32]);
        old_hello.extend([0, 0xc0, 0x13, 0]);
        let table: [(&str, Vec<u8>, &str); 5] = [
            ("TLS 1.0", old_hello, "no supported TLS version"),
            (
                "an alert",
                vec![0x15, 3, 1, 0, 2, 2, 70],
                "no supported TLS version",
            ),
            (
                "plain HTTP",
                b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
                "the server does not use TLS",
            ),
            ("garbage", vec![0xff; 64], "the server does not use TLS"),
            ("an end", Vec::new(), ""),
        ];
        for (name, bytes, expected) in table {
            let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
            let origin = serve(move |mut stream, _| {
                let (bytes, sender) = (bytes.clone(), sender.clone());
                async move {
                    let mut hello = vec![0; 16 * 1024];
                    let length = stream.read(&mut hello).await.unwrap();
                    hello.truncate(length);
                    stream.write_all(&bytes).await.unwrap();
                    stream.shutdown().await.unwrap();
                    stream.read_to_end(&mut hello).await.unwrap_or_default();
                    sender.send(hello).unwrap_or_default();
                }
            })
            .await;

            let error = fetch(&client(&origin)).await.unwrap_err();

            let PollError::Offline(reason) = &error else {
                panic!("{name}: {error:?}");
            };
            let host = origin.trim_start_matches("https://");
            let reason = reason.as_str().replace(host, "HOST");
            if expected.is_empty() {
                assert!(reason.contains("connection closed by HOST"), "{reason}");
            } else {
                let expected = format!("no secure connection to HOST: {expected}");
                assert_eq!(reason, expected, "{name}");
            }
            let bytes = received.recv().await.unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("canary"), "{name}");
        }
    });
}

/// Serves `count` responses over HTTP/2 on one connection, then sends nothing more.
async fn speak_http2(stream: &mut TlsStream<TcpStream>, count: usize) -> Option<()> {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    stream.read_exact(&mut [0; 24]).await.ok()?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok()?;
    let mut left = count;
    while left > 0 {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await.ok()?;
        let [a, b, c, kind, flags, rest @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]).try_into().ok()?];
        stream.read_exact(&mut payload).await.ok()?;
        if kind == SETTINGS && flags == 0 {
            stream.write_all(&frame(SETTINGS, 1, 0, &[])).await.ok()?;
        }
        if kind == HEADERS {
            left -= 1;
            let id = u32::from_be_bytes(rest);
            // ":status: 200" is entry 8 of the static table.
            let response = [
                frame(HEADERS, 4, id, &[0x88]),
                frame(0, 1, id, RUNNING.as_bytes()),
            ];
            stream.write_all(&response.concat()).await.ok()?;
        }
    }
    Some(())
}

// F12
#[test]
fn a_connection_of_a_lost_network_is_dropped() {
    with_authority(
        "a_connection_of_a_lost_network_is_dropped",
        async |authority| {
            let connections = Arc::new(AtomicUsize::new(0));
            let (acceptor, count) = (
                authority.sign(&loopback_params()).acceptor(&[b"h2"]),
                Arc::clone(&connections),
            );
            let origin = serve(move |stream, connection| {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                async move {
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    count.fetch_add(1, Ordering::SeqCst);
                    speak_http2(&mut stream, [2, 9][connection]).await;
                    // Neither read nor closed, like a connection after a change of network.
                    std::future::pending::<()>().await;
                }
            })
            .await;
            let client = client(&origin);

            assert!(fetch(&client).await.is_ok());
            assert!(fetch(&client).await.is_ok());
            assert_eq!(connections.load(Ordering::SeqCst), 1, "reused");
            assert_eq!(fetch(&client).await, Err(PollError::TimedOut));
            assert!(fetch(&client).await.is_ok(), "on a new connection");
            assert_eq!(connections.load(Ordering::SeqCst), 2);
        },
    );
}
