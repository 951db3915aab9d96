//! A whole installation in one process, and what must hold for every call that it answers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use claviger_service::{
    Clock, Entropy, Handled, Installation, Moment, NoEntropy, Regions, Service, credential, outbox, schedule,
};
use claviger_store::{Commit, Memory, Read, Record, Store, Write};
use claviger_wire::incoming::{Incoming, Origin};
use claviger_wire::sigv4::{Scope, Signer, SigningKey, sign};
use expect_test::{Expect, ExpectFile};
use http::{Method, Request};
use serde_json::{Value, json};

pub(crate) use crate::clock::ManualClock;
use crate::enclave_requests::trusted;
use crate::endpoints;
use crate::explanations::check_explained;
use crate::issuer::Documents;
use crate::ledger::MemoryLedger;
use crate::shown::{check_event_elsewhere, hide_ids, hide_member, needs_hsm};
use crate::vault::EngineVault;

/// The root user of an account, with its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) name: &'static str,
    pub(crate) account: &'static str,
    pub(crate) access_key_id: &'static str,
    pub(crate) secret: &'static str,
}

/// Owns most of what the tests use.
pub(crate) const ALICE: Root = Root {
    name: "alice",
    account: "111122223333",
    access_key_id: "AKIAALICE00000000001",
    secret: "alice/secret/access/key/of/forty/chars00",
};

/// Another account.
pub(crate) const BOB: Root = Root {
    name: "bob",
    account: "444455556666",
    access_key_id: "AKIABOB0000000000001",
    secret: "bob/secret/access/key/of/forty/chars/000",
};

/// Where calls go unless they say otherwise.
pub(crate) const REGION: &str = "us-east-1";
/// When every world begins: 2026-11-20T12:00:00Z.
pub(crate) const START: Moment = Moment(1_795_176_000_000);
/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A key id that no world makes.
pub(crate) const NO_KEY: &str = "00000000-0000-4000-8000-000000000000";

/// SplitMix64: ids that differ, the same in every run.
pub(crate) struct Seeded(Mutex<u64>);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        let mut state = lock(&self.0);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// A lock whose holder may have panicked: the test has failed then, and the rest may still tell why.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a future on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Runs a future as far as it goes by itself; answers whether it has ended.
pub(crate) fn advance(future: std::pin::Pin<&mut (impl Future + ?Sized)>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    future.poll(&mut context).is_ready()
}

/// A key as its tests know it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) arn: String,
}

/// An installation and everything it stands on.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<EngineVault>,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) installation: Arc<Installation>,
    pub(crate) service: Service,
    /// What is fetched from identity providers.
    pub(crate) web: Arc<Documents>,
    regions: Regions,
    pub(crate) entropy: Arc<Seeded>,
    /// What stands in expectations for ids that differ from world to world.
    names: Mutex<BTreeMap<String, String>>,
}

impl World {
    /// Over an empty store in memory.
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(Memory::new()), Arc::new(EngineVault::new()))
    }

    /// That serves these Regions only.
    pub(crate) fn serving(regions: &[&str]) -> Self {
        let regions = Regions::Only(regions.iter().map(|region| (*region).to_owned()).collect());
        Self::whole(Arc::new(Memory::new()), Arc::new(EngineVault::new()), regions)
    }

    /// Over a given store, with the HSM of its domain.
    pub(crate) fn over(store: Arc<dyn Store>, vault: Arc<EngineVault>) -> Self {
        Self::whole(store, vault, Regions::Any)
    }

    fn whole(store: Arc<dyn Store>, vault: Arc<EngineVault>, regions: Regions) -> Self {
        let world = Self::found(store, vault, regions);
        for root in [ALICE, BOB] {
            let Root { account, access_key_id, secret, .. } = root;
            let (installation, vault) = (&world.installation, &*world.vault);
            let imported =
                credential::import_root(installation, vault, account, access_key_id, secret, START);
            block_on(imported).unwrap();
        }
        world
    }

    /// Over a store as it is.
    pub(crate) fn found(store: Arc<dyn Store>, vault: Arc<EngineVault>, regions: Regions) -> Self {
        let ledger = Arc::new(MemoryLedger::default());
        let clock = Arc::new(ManualClock::starting_at(START));
        let entropy = Arc::new(Seeded(Mutex::new(1)));
        let web = Arc::new(Documents::default());
        let (installation, service) = start(&store, &vault, &ledger, &entropy, &regions, &web);
        let names = Mutex::default();
        Self { store, vault, ledger, clock, installation, service, web, regions, entropy, names }
    }

    /// Another installation that begins with everything this one has, in the same domain.
    pub(crate) fn copy(&self) -> Self {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let writes = self.content().into_iter().map(|Record { name, value, .. }| Write::Put { name, value });
        let commit = Commit { preconditions: Vec::new(), writes: writes.collect() };
        block_on(store.commit(commit)).unwrap();
        let copy = Self::over(store, Arc::clone(&self.vault));
        copy.clock.set(self.now());
        lock(&self.names).clone_into(&mut lock(&copy.names));
        copy
    }

    /// What is left when the processes die, started anew: the store, the ledger, the HSM's seal. Answers how many events
    /// had to be brought to the ledger.
    pub(crate) fn restart(&mut self) -> usize {
        self.vault.restart();
        (self.installation, self.service) =
            start(&self.store, &self.vault, &self.ledger, &self.entropy, &self.regions, &self.web);
        block_on(outbox::recover(&self.installation, &*self.ledger)).unwrap()
    }

    /// A further host, with an installation that differs from the others'.
    pub(crate) fn host(&self, differs: impl FnOnce(Installation) -> Installation) -> Service {
        let domain = self.vault.domain();
        let opened =
            Installation::open(Arc::clone(&self.store), &*self.vault, domain, self.regions.clone(), START);
        let installation = block_on(opened).unwrap().with_fetcher(Arc::<Documents>::clone(&self.web));
        let installation = Arc::new(differs(installation));
        Service::new(
            installation,
            Arc::<EngineVault>::clone(&self.vault),
            Arc::<MemoryLedger>::clone(&self.ledger),
            Arc::<Seeded>::clone(&self.entropy),
        )
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// A further host over the same store, HSM and ledger.
    pub(crate) fn another_host(&self) -> Service {
        start(&self.store, &self.vault, &self.ledger, &self.entropy, &self.regions, &self.web).1
    }

    /// A moment later.
    pub(crate) fn later(&self, days: i64, ms: i64) -> Moment {
        Moment(self.now().0 + days * DAY_MS + ms)
    }

    /// Everything in the store.
    pub(crate) fn content(&self) -> Vec<Record> {
        let all = Read::Range { prefix: Vec::new(), after: None, limit: usize::MAX };
        block_on(self.store.read(vec![all])).unwrap().found.remove(0)
    }

    /// Names of all records but those of the outbox, which come and go.
    pub(crate) fn record_names(&self) -> Vec<String> {
        let names = self.content().into_iter().map(|record| String::from_utf8(record.name).unwrap());
        names.filter(|name| !name.starts_with("outbox/")).collect()
    }

    /// Makes a key with the default policy. Expectations call it `K1`, `K2` and so on.
    pub(crate) fn key(&self, owner: Root) -> Key {
        self.key_with(owner, json!({}))
    }

    /// Makes a key by this request.
    pub(crate) fn key_with(&self, owner: Root, request: Value) -> Key {
        self.key_in(REGION, owner, request)
    }

    /// Makes a key by this request in a Region.
    pub(crate) fn key_in(&self, region: &str, owner: Root, request: Value) -> Key {
        let metadata = &self.succeed_in(region, owner, "CreateKey", request)["KeyMetadata"];
        let text = |member: &str| metadata[member].as_str().map(str::to_owned);
        let key = Key { id: text("KeyId").unwrap(), arn: text("Arn").unwrap() };
        let mut names = lock(&self.names);
        let number = names.values().filter(|name| name.starts_with('K')).count() + 1;
        names.insert(key.id.clone(), format!("K{number}"));
        if let Some(material) = metadata["CurrentKeyMaterialId"].as_str() {
            names.insert(material.to_owned(), format!("M{number}"));
        }
        key
    }

    /// Has expectations call an id by this name.
    pub(crate) fn name(&self, id: &str, name: &str) {
        lock(&self.names).insert(id.to_owned(), name.to_owned());
    }

    /// Does everything that is due; answers how many things there were that could not be done, and when the next is due.
    pub(crate) fn run_due(&self) -> schedule::Round {
        block_on(schedule::run_due(&self.service, self.now())).unwrap()
    }

    /// What `DescribeKey` says of a key.
    pub(crate) fn describe(&self, key: &Key) -> Value {
        self.succeed(ALICE, "DescribeKey", json!({"KeyId": key.id}))["KeyMetadata"].take()
    }

    /// Service events of this name in the ledger.
    pub(crate) fn service_events(&self, name: &str) -> Vec<Value> {
        let events = self.ledger.since(0).into_iter().filter(|event| is_service_event(event));
        let events = events.map(|event| serde_json::from_slice::<Value>(&event).unwrap());
        events.filter(|event| event["eventName"] == name).collect()
    }

    /// Encrypts under a key; answers the blob in base64.
    pub(crate) fn encrypt(&self, owner: Root, key: &Key, plaintext: &[u8], context: Value) -> String {
        let request = json!({"KeyId": key.arn, "Plaintext": base64(plaintext), "EncryptionContext": context});
        self.succeed(owner, "Encrypt", request)["CiphertextBlob"].as_str().unwrap().to_owned()
    }

    /// Makes a call that must succeed; answers its body, `null` where there is none.
    pub(crate) fn succeed(&self, caller: Root, operation: &str, request: Value) -> Value {
        self.succeed_in(REGION, caller, operation, request)
    }

    /// Makes a call in a Region that must succeed; answers its body, `null` where there is none.
    pub(crate) fn succeed_in(&self, region: &str, caller: Root, operation: &str, request: Value) -> Value {
        let answer = self.send(&Ask::new(caller, operation, request).region(region));
        assert_eq!((answer.status, answer.code), (200, None), "{operation}: {}", answer.body);
        if answer.body.is_empty() { Value::Null } else { serde_json::from_str(&answer.body).unwrap() }
    }

    /// Makes a call that must be refused; answers the error's name.
    pub(crate) fn refuse(&self, caller: Root, operation: &str, request: Value) -> &'static str {
        self.refuse_in(REGION, caller, operation, request)
    }

    /// Makes a call in a Region that must be refused; answers the error's name.
    pub(crate) fn refuse_in(
        &self,
        region: &str,
        caller: Root,
        operation: &str,
        request: Value,
    ) -> &'static str {
        let answer = self.send(&Ask::new(caller, operation, request).region(region));
        answer.code.unwrap_or_else(|| panic!("{operation} succeeded: {}", answer.body))
    }

    /// Makes a call without looking at what it does.
    pub(crate) fn handle(&self, ask: &Ask) -> Handled {
        block_on(self.service.handle(&ask.incoming(self.now()), self.now()))
    }

    /// Makes a call, and checks what must hold for every call.
    pub(crate) fn send(&self, ask: &Ask) -> Answer {
        let (before, events) = (self.content(), self.ledger.len());
        self.vault.forget_sent();
        let handled = self.handle(ask);
        let written = self.ledger.since(events);
        self.ledger.records(events).iter().for_each(|record| check_explained(record));
        let commands = self.vault.sent();
        let (by_itself, written): (Vec<_>, Vec<_>) = written.into_iter().partition(|e| is_service_event(e));
        let rotates = ask.operation == "RotateKeyOnDemand" && handled.code.is_none();
        assert_eq!(by_itself.len(), usize::from(rotates), "a rotation announces itself");
        let answer = Answer::of(&handled, &written, commands);
        answer.check_event(&handled, &written, ask);
        if answer.code.is_some() && !answer.took_effect() {
            assert_eq!(before, self.content(), "a refused call changed the store: {answer:?}");
        }
        if answer.code.is_some_and(|code| !needs_hsm(&ask.operation, code)) {
            assert_eq!(answer.commands, [""; 0], "a refused call reached the HSM: {answer:?}");
        }
        answer
    }

    /// Puts names for what differs from world to world: key ids, material ids, other ids, blobs.
    pub(crate) fn normalize(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, name) in &*lock(&self.names) {
            text = text.replace(id, name);
        }
        for member in HIDDEN {
            text = hide_member(&text, member);
        }
        hide_ids(&text)
    }
}

fn is_service_event(event: &[u8]) -> bool {
    serde_json::from_slice::<Value>(event).unwrap()["eventType"] == "AwsServiceEvent"
}

/// Members of answers whose bytes differ from run to run.
const HIDDEN: [&str; 14] = [
    "CiphertextBlob",
    "Plaintext",
    "NextMarker",
    "Signature",
    "Mac",
    "PublicKey",
    "SharedSecret",
    "SharedSecretCiphertextBlob",
    "PrivateKeyCiphertextBlob",
    "PrivateKeyPlaintext",
    "Message",
    "ImportToken",
    "GrantToken",
    "EncryptedKeyMaterial",
];

fn start(
    store: &Arc<dyn Store>,
    vault: &Arc<EngineVault>,
    ledger: &Arc<MemoryLedger>,
    entropy: &Arc<Seeded>,
    regions: &Regions,
    web: &Arc<Documents>,
) -> (Arc<Installation>, Service) {
    let opened = Installation::open(Arc::clone(store), &**vault, vault.domain(), regions.clone(), START);
    let installation = block_on(opened).unwrap().with_attestation(trusted().roots());
    let installation = installation.with_endpoints(endpoints::configured());
    let installation = Arc::new(installation.with_fetcher(Arc::<Documents>::clone(web)));
    let service = Service::new(Arc::clone(&installation), vault.clone(), ledger.clone(), entropy.clone());
    (installation, service)
}

/// A call that is to be made.
#[derive(Clone)]
pub(crate) struct Ask {
    caller: Root,
    operation: String,
    body: String,
    region: String,
    headers: Vec<(&'static str, String)>,
    origin: Origin,
}

impl Ask {
    pub(crate) fn new(caller: Root, operation: &str, request: Value) -> Self {
        Self::raw(caller, operation, &request.to_string())
    }

    /// With a body that need not be JSON.
    pub(crate) fn raw(caller: Root, operation: &str, body: &str) -> Self {
        Self {
            caller,
            operation: operation.to_owned(),
            body: body.to_owned(),
            region: REGION.to_owned(),
            headers: Vec::new(),
            origin: origin(),
        }
    }

    #[must_use]
    pub(crate) fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// The signed request.
    pub(crate) fn incoming(&self, now: Moment) -> Incoming {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header("host", format!("kms.{}.amazonaws.com", self.region))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{}", self.operation));
        for (name, value) in &self.headers {
            request = request.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        signed(self.caller, ("kms", &self.region), request, &self.body, self.origin.clone(), now)
    }
}

/// Signs a request for a service in a Region.
pub(crate) fn signed(
    caller: Root,
    (service, region): (&str, &str),
    request: http::request::Builder,
    body: &str,
    origin: Origin,
    now: Moment,
) -> Incoming {
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let date: String = now.iso().chars().filter(char::is_ascii_digit).take(8).collect();
    let key = SigningKey::derive(caller.secret.as_bytes(), &date, region, service);
    let scope = Scope { date, region: region.to_owned(), service: service.to_owned() };
    let signer =
        Signer { access_key_id: caller.access_key_id, session_token: None, scope: &scope, key: &key };
    sign(&mut head, body.as_bytes(), &signer, now.seconds()).unwrap();
    Incoming {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: Bytes::from(body.to_owned()),
        origin: Arc::new(origin),
    }
}

/// Where requests come from unless they say otherwise.
pub(crate) fn origin() -> Origin {
    Origin { peer: Ipv4Addr::new(192, 0, 2, 10).into(), tls: None, endpoint: None }
}

/// What came back, and what it left.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) code: Option<&'static str>,
    /// The event that was written, `null` where none was.
    pub(crate) event: Value,
    /// Commands that reached the HSM, without those for signing keys.
    pub(crate) commands: Vec<&'static str>,
}

impl Answer {
    fn of(handled: &Handled, written: &[Vec<u8>], commands: Vec<&'static str>) -> Self {
        let event = written.first().map_or(Value::Null, |event| serde_json::from_slice(event).unwrap());
        Self {
            status: handled.outgoing.status,
            body: String::from_utf8(handled.outgoing.body.to_vec()).unwrap(),
            code: handled.code,
            event,
            commands,
        }
    }

    /// Whether the call changed something although it answers an error: it failed after its commit.
    fn took_effect(&self) -> bool {
        self.status == 500 && self.event.get("errorCode").is_none()
    }

    /// An authenticated call writes one event, which says what the answer says (I4). Nobody else writes any.
    fn check_event(&self, handled: &Handled, written: &[Vec<u8>], ask: &Ask) {
        if handled.account.is_none() {
            assert!(written.is_empty() && handled.event.is_none(), "an event of nobody: {self:?}");
            return;
        }
        let elsewhere = check_event_elsewhere(&ask.operation, &self.event, written);
        assert_eq!(written.len(), 1 + usize::from(elsewhere), "one event for one call: {self:?}");
        assert!(!written[0].contains(&b'\n'), "an event is one line");
        let text = |member: &str| self.event.get(member).map(|value| value.as_str().unwrap());
        assert_eq!(text("requestID"), Some(&*handled.outgoing.request_id));
        assert_eq!(text("eventName"), Some(&*ask.operation));
        assert_eq!(self.event["recipientAccountId"], ask.caller.account);
        if self.took_effect() {
            return;
        }
        let code = self.code.map(|code| if code == "AccessDeniedException" { "AccessDenied" } else { code });
        assert_eq!(text("errorCode"), code, "{self:?}");
        assert_eq!(self.code.is_some(), self.status != 200, "{self:?}");
        let message = self.code.and_then(|_| {
            let body: Value = serde_json::from_str(&self.body).unwrap();
            body.get("message").or_else(|| body.get("Message")).map(|text| text.as_str().unwrap().to_owned())
        });
        let logged = text("errorMessage").unwrap_or_default();
        assert!(message.unwrap_or_default().starts_with(logged), "{self:?}");
    }
}

/// Makes a call and compares status and body; the invariants of [`World::send`] hold too.
pub(crate) fn check(world: &World, caller: Root, operation: &str, request: Value, expected: &Expect) {
    let answer = world.send(&Ask::new(caller, operation, request));
    expected.assert_eq(&world.normalize(&format!("{} {}", answer.status, answer.body)));
}

/// Calls and their answers, one after the other, to be compared as a whole.
pub(crate) struct Transcript<'w> {
    world: &'w World,
    text: String,
}

/// Longest line that a transcript shows whole, in bytes.
const MAX_LINE: usize = 1200;

impl<'w> Transcript<'w> {
    pub(crate) fn of(world: &'w World) -> Self {
        Self { world, text: String::new() }
    }

    /// What the next calls are about.
    pub(crate) fn note(&mut self, text: &str) {
        self.text.push_str(&format!("# {text}\n\n"));
    }

    /// Makes a call.
    pub(crate) fn ask(&mut self, caller: Root, operation: &str, request: Value) -> Answer {
        self.send(&Ask::new(caller, operation, request))
    }

    /// Makes a call that has more to it.
    pub(crate) fn send(&mut self, ask: &Ask) -> Answer {
        let answer = self.world.send(ask);
        let Ask { caller, operation, body, region, .. } = ask;
        let region = if region == REGION { String::new() } else { format!(" in {region}") };
        let line = |text: &str| {
            let text = self.world.normalize(text);
            let cut = text.floor_char_boundary(if text.len() > MAX_LINE { 200 } else { MAX_LINE });
            if cut < text.len() { format!("{}.. ({} bytes)", text.split_at(cut).0, text.len()) } else { text }
        };
        let asked = format!("{}{region} {operation} {}\n", caller.name, line(body));
        let answered = format!("{} {}\n\n", answer.status, line(&answer.body));
        self.text.push_str(&asked);
        self.text.push_str(&answered);
        answer
    }

    /// Compares all of it.
    pub(crate) fn compare(self, expected: &ExpectFile) {
        expected.assert_eq(&self.text);
    }
}

/// Standard base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Bytes of standard base64 in a JSON string.
pub(crate) fn unbase64(text: &Value) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text.as_str().unwrap()).unwrap()
}
