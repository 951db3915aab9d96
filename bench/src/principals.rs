//! What a request costs by who calls: the root user, a user, a session of a role; beside few principals and beside many.

use claviger_server::shell;

use crate::load::Connection;
use crate::report::{Keys, Plan, measure, sign};
use crate::requests::{self, Credentials};
use crate::subject::Claviger;

/// One key is used, so that all grants are on it.
const KEYS: usize = 1;
/// Most grants to others on it, below the quota of 50,000.
const MAX_GRANTS: usize = 49_990;
/// Requests of a pool.
const POOL: usize = 4_096;
/// Connections over which principals are made.
const CONNECTIONS: usize = 16;
/// Calls that are signed at once: a signature is good for five minutes.
const PART: usize = 10_000;

/// What a user or role of the benchmark may do: two statements, a condition in each.
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt","kms:GenerateDataKey*"],"Resource":"arn:aws:kms:*:*:key/*",
     "Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}},
    {"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":["127.0.0.0/8","::1"]}}}]}"#;

/// Calls IAM or STS; answers the body.
async fn ask(
    subject: &Claviger,
    credentials: &Credentials,
    service: &str,
    members: &[(&str, &str)],
) -> Result<String, String> {
    let mut credentials = credentials.clone();
    service.clone_into(&mut credentials.scope.service);
    let host = format!("localhost:{}", subject.plain.address.port());
    let request = requests::query(&credentials, &host, members, shell::now())?;
    let mut connection = Connection::open(&subject.plain).await?;
    let (status, body) = connection.call(&request).await?;
    let body = String::from_utf8_lossy(body).into_owned();
    if status == 200 { Ok(body) } else { Err(format!("{members:?}: status {status}: {body}")) }
}

/// The text of the first element of a name.
fn element(body: &str, name: &str) -> Result<String, String> {
    let rest = body.split_once(&format!("<{name}>")).ok_or_else(|| format!("no {name}"))?.1;
    Ok(rest.split_once("</").map_or(rest, |(text, _)| text).to_owned())
}

fn credentials(subject: &Claviger, body: &str) -> Result<Credentials, String> {
    Ok(Credentials {
        access_key_id: element(body, "AccessKeyId")?,
        secret_access_key: element(body, "SecretAccessKey")?,
        session_token: element(body, "SessionToken").ok(),
        scope: subject.credentials.scope.clone(),
    })
}

/// Makes a user and a session of a role, each with a policy, and a user with nothing but a grant on the key.
async fn make(subject: &Claviger, key: &str) -> Result<Vec<(&'static str, Credentials)>, String> {
    let root = &subject.credentials;
    let made = ask(subject, root, "iam", &[("Action", "CreateUser"), ("UserName", "bench")]).await?;
    let arn = element(&made, "Arn")?;
    let policy = [("PolicyName", "p"), ("PolicyDocument", POLICY)];
    let put = [("Action", "PutUserPolicy"), ("UserName", "bench")];
    ask(subject, root, "iam", &[put, policy].concat()).await?;
    let secret = ask(subject, root, "iam", &[("Action", "CreateAccessKey"), ("UserName", "bench")]).await?;
    let user = credentials(subject, &secret)?;
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{arn}"}},"Action":"sts:AssumeRole"}}]}}"#
    );
    let role = [("Action", "CreateRole"), ("RoleName", "bench"), ("AssumeRolePolicyDocument", &*trust)];
    let role_arn = element(&ask(subject, root, "iam", &role).await?, "Arn")?;
    let put = [("Action", "PutRolePolicy"), ("RoleName", "bench")];
    ask(subject, root, "iam", &[put, policy].concat()).await?;
    let assume = [("Action", "AssumeRole"), ("RoleArn", &*role_arn), ("RoleSessionName", "bench")];
    let session = credentials(subject, &ask(subject, &user, "sts", &assume).await?)?;
    let made = ask(subject, root, "iam", &[("Action", "CreateUser"), ("UserName", "granted")]).await?;
    grant(subject, key, &[element(&made, "Arn")?]).await?;
    let secret = ask(subject, root, "iam", &[("Action", "CreateAccessKey"), ("UserName", "granted")]).await?;
    let granted = credentials(subject, &secret)?;
    Ok(vec![
        ("root", root.clone()),
        ("user", user),
        ("role session", session),
        ("user with a grant", granted),
    ])
}

/// Gives each of these the use of a key by a grant of its own; one after the other, as they all count on one key.
async fn grant(subject: &Claviger, key: &str, grantees: &[String]) -> Result<(), String> {
    let host = format!("localhost:{}", subject.plain.address.port());
    let mut connection = Connection::open(&subject.plain).await?;
    for arn in grantees {
        let body = format!(
            r#"{{"KeyId":"{key}","GranteePrincipal":"{arn}","Operations":["Encrypt","Decrypt","GenerateDataKey"]}}"#
        );
        let request = requests::signed(&subject.credentials, &host, "CreateGrant", &body, shell::now())?;
        let (status, body) = connection.call(&request).await?;
        if status != 200 {
            return Err(format!("status {status}: {}", String::from_utf8_lossy(body)));
        }
    }
    Ok(())
}

/// Makes so many users more.
async fn crowd(subject: &Claviger, count: usize) -> Result<(), String> {
    let mut root = subject.credentials.clone();
    "iam".clone_into(&mut root.scope.service);
    let host = format!("localhost:{}", subject.plain.address.port());
    for part in (0..count).step_by(PART) {
        let mut loops = Vec::new();
        for number in 0..CONNECTIONS {
            let own = (part..count.min(part + PART)).skip(number).step_by(CONNECTIONS);
            let requests = own.map(|user| {
                let name = format!("user-{user}");
                let members = [("Action", "CreateUser"), ("UserName", &*name)];
                requests::query(&root, &host, &members, shell::now())
            });
            let requests = requests.collect::<Result<Vec<_>, String>>()?;
            let mut connection = Connection::open(&subject.plain).await?;
            loops.push(tokio::spawn(async move {
                for request in requests {
                    let (status, body) = connection.call(&request).await?;
                    if status != 200 {
                        return Err(format!("status {status}: {}", String::from_utf8_lossy(body)));
                    }
                }
                Ok(())
            }));
        }
        for finished in loops {
            finished.await.map_err(|error| error.to_string())??;
        }
    }
    Ok(())
}

/// Measures and prints.
pub(crate) async fn run(plan: &Plan, subject: &Claviger) -> Result<(), String> {
    let keys = Keys::make(subject, KEYS).await?;
    let key = keys.ids.first().ok_or("no key")?;
    let callers = make(subject, key).await?;
    let who = ask(subject, &subject.credentials, "sts", &[("Action", "GetCallerIdentity")]).await?;
    let account = element(&who, "Account")?;
    println!(
        "| caller, operation over TLS | other users, each with a grant on the key | req/s | p50 us | host us | HSM us |\n|---|---|---|---|---|---|"
    );
    for others in [0, plan.principals] {
        crowd(subject, others).await?;
        let user = |number: usize| format!("arn:aws:iam::{account}:user/user-{number}");
        grant(subject, key, &(0..others.min(MAX_GRANTS)).map(user).collect::<Vec<_>>()).await?;
        for (name, credentials) in &callers {
            for operation in ["Encrypt", "Decrypt", "GenerateDataKey"] {
                let signed = sign(credentials, &subject.tls, operation, &keys.bodies(operation, POOL))?;
                let cpu = || subject.cpu();
                let got = measure(&subject.tls, signed, plan.connections, plan.window, cpu).await?;
                println!(
                    "| {name}, {operation} | {others} | {:.0} | {} | {:.1} | {:.1} |",
                    got.seen.per_second(),
                    got.seen.percentile(50),
                    got.host_micros,
                    got.hsm_micros,
                );
            }
        }
    }
    println!();
    Ok(())
}
