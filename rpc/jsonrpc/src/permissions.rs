//! Which methods the sender of a request may call.

use std::sync::Arc;

/// Which methods the sender of a request may call: `eth:*`, `eth:blockNumber`, `*:*`, as Besu writes them. It
/// travels with the request (its HTTP extensions); a request without it may call everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions(Arc<[String]>);

impl Permissions {
    /// From rules in Besu's form. A rule of any other form allows nothing.
    pub fn new(rules: impl IntoIterator<Item = String>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// Whether some rule allows `method`, which is a whole name as `eth_blockNumber`.
    pub fn allow(&self, method: &str) -> bool {
        let (namespace, name) = method.split_once('_').unwrap_or((method, ""));
        self.0.iter().any(|rule| match rule.split_once(':') {
            Some((of, what)) => (of == "*" || of == namespace) && (what == "*" || what == name),
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_allow_namespaces_methods_or_everything() {
        let some = Permissions::new(["net:*".to_owned(), "eth:blockNumber".to_owned(), "debug".to_owned()]);
        for (method, allowed) in [
            ("net_version", true),
            ("eth_blockNumber", true),
            ("eth_blockNumbers", false),
            ("eth_call", false),
            ("debug_traceTransaction", false),
            ("net", true),
            ("", false),
        ] {
            assert_eq!(some.allow(method), allowed, "{method}");
        }
        assert!(Permissions::new(["*:*".to_owned()]).allow("admin_peers"));
        assert!(!Permissions::new([]).allow("eth_call"));
    }
}
