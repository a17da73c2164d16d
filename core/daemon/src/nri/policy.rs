//! Which containers get the views: `[nri]` of the configuration, and the opt-out of pods and containers.

use std::collections::BTreeMap;

use vistafs_attach::oci::{ANNOTATION, is_opt_out};
use vistafs_nri::messages::{Container, PodSandbox};

/// The rules.
#[derive(Debug)]
pub(super) struct Policy {
    /// Namespaces of Kubernetes; empty: all.
    pub(super) namespaces: Vec<String>,
}

impl Policy {
    /// Why a container gets no views; `None` if it gets them.
    pub(super) fn refusal(&self, pod: &PodSandbox, container: &Container) -> Option<&'static str> {
        let opts_out = |words: &BTreeMap<String, String>| {
            words.get(ANNOTATION).is_some_and(|value| is_opt_out(value))
        };
        let words = [
            &pod.annotations,
            &pod.labels,
            &container.annotations,
            &container.labels,
        ];
        if words.into_iter().any(opts_out) {
            return Some("it has dev.vistafs=false");
        }
        let is_in = self.namespaces.is_empty() || self.namespaces.contains(&pod.namespace);
        (!is_in).then_some("[nri] namespaces in the configuration leaves out its namespace")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str) -> PodSandbox {
        PodSandbox {
            namespace: namespace.to_owned(),
            ..PodSandbox::default()
        }
    }

    fn words(value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(ANNOTATION.to_owned(), value.to_owned())])
    }

    #[test]
    fn without_a_list_every_namespace_has_the_views() {
        let none = Container::default();
        let all = Policy {
            namespaces: Vec::new(),
        };
        let one = Policy {
            namespaces: vec!["web".to_owned()],
        };
        assert_eq!(all.refusal(&pod("web"), &none), None);
        assert_eq!(one.refusal(&pod("web"), &none), None);
        assert!(one.refusal(&pod("webs"), &none).is_some());
        assert!(one.refusal(&pod(""), &none).is_some());
    }

    #[test]
    fn pods_and_containers_opt_out_by_label_or_annotation() {
        let policy = Policy {
            namespaces: Vec::new(),
        };
        for (value, is_refused) in [("false", true), ("off", true), ("true", false)] {
            let none = (pod(""), Container::default());
            let mut four = [none.clone(), none.clone(), none.clone(), none];
            four[0].0.annotations = words(value);
            four[1].0.labels = words(value);
            four[2].1.annotations = words(value);
            four[3].1.labels = words(value);
            for (pod, container) in four {
                let refusal = policy.refusal(&pod, &container);
                assert_eq!(
                    refusal.is_some(),
                    is_refused,
                    "{value} {pod:?} {container:?}"
                );
            }
        }
    }
}
