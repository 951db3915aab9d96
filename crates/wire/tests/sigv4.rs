//! AWS Signature Version 4: AWS's own test suite, an independent signer as oracle, and attacks.

#[cfg(test)]
#[path = "sigv4/attacks.rs"]
mod attacks;
#[cfg(test)]
#[path = "sigv4/oracle.rs"]
mod oracle;
#[cfg(test)]
#[path = "sigv4/request.rs"]
mod request;
#[cfg(test)]
#[path = "sigv4/scope.rs"]
mod scope;
#[cfg(test)]
#[path = "sigv4/suite.rs"]
mod suite;
