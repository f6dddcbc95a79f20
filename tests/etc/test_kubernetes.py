"""The manifests of kustomize and of the Helm chart: valid, alike, and with names that meet."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from imgforge import __version__
from tests.support.checkers import ETC, RELEASES, kubernetes_errors, ran
from tests.support.process import ROOT

CHART = ETC / "helm" / "imgforge"
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": {
        "imagePullSecrets": ["registry"],
        "ingress": {"enabled": True, "className": "nginx", "annotations": {"a": "b"}},
        "render": {"enabled": True},
        "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "images", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"a": "b"},
        "persistence": {"storageClass": "local"},
        "monitoring": {"enabled": True, "labels": {"release": "prometheus"}, "docs": "https://docs.example.com"},
    },
    "nothing": {
        "persistence": {"enabled": False},
        "autoscaling": {"saturation": {"enabled": False, "target": "700m"}},
        "networkPolicy": {"enabled": False},
        "ingress": {"enabled": True, "tlsSecret": ""},
    },
}


def kustomized(name: str) -> str:
    ended = ran("kustomize", "build", ETC / "kubernetes" / name)
    assert not ended.returncode, ended.stderr
    return ended.stdout


def templated(values: dict[str, Any], release: str = RELEASES[-1]) -> tuple[str, str]:
    """What the chart makes with *values*, or what it finds wrong in them."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        ended = ran("helm", "template", "imgforge", CHART, "--kube-version", release, "--values", file.name)
    return (ended.stdout, "") if ended.returncode == 0 else ("", ended.stderr)


def parts(manifests: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The parts by kind and name; kustomize's suffixes of configurations are cut off."""
    found = [part for part in yaml.safe_load_all(manifests) if part]
    return {(part["kind"], re.sub(r"-[a-z0-9]{10}\Z", "", part["metadata"]["name"])): part for part in found}


def manifests() -> dict[str, str]:
    made = {name: kustomized(name) for name in ("base", "production")}
    for name, values in VARIANTS.items():
        made[f"chart, {name}"], mistake = templated(values)
        assert not mistake, mistake
    return made


class ManifestTests(SynchronousTestCase):
    def test_every_release_of_kubernetes_takes_them(self) -> None:
        made = "\n---\n".join(manifests().values())
        for release in RELEASES:
            self.assertEqual(kubernetes_errors(made, release), "", release)
        # The check does see mistakes.
        wrong = (ETC / "kubernetes" / "base" / "disruption.yaml").read_text("utf-8").replace("maxUn", "mostUn")
        self.assertIn("mostUnavailable", kubernetes_errors(wrong, RELEASES[0]))

    def test_containers_cannot_write_become_root_or_call_the_cluster(self) -> None:
        for name, text in manifests().items():
            templates = (part.get("spec", {}).get("template") for part in parts(text).values())
            pods = [template["spec"] for template in templates if template]
            self.assertGreaterEqual(len(pods), 2, name)
            for pod in pods:
                self.assertTrue(pod["securityContext"]["runAsNonRoot"], name)
                self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertFalse(pod["automountServiceAccountToken"])
                self.assertFalse(pod["enableServiceLinks"])
                self.assertTrue(pod["topologySpreadConstraints"])
                for container in pod["containers"]:
                    confined = container["securityContext"]
                    self.assertTrue(confined["readOnlyRootFilesystem"])
                    self.assertFalse(confined["allowPrivilegeEscalation"])
                    self.assertEqual(confined["capabilities"], {"drop": ["ALL"]})
                    self.assertIn("memory", container["resources"]["limits"])

    def test_names_meet(self) -> None:
        for name, text in manifests().items():
            found = parts(text)
            nodes = found["StatefulSet", "imgforge"]["spec"]
            labels = nodes["template"]["metadata"]["labels"]
            scaled = found["HorizontalPodAutoscaler", "imgforge"]["spec"]
            self.assertEqual(scaled["scaleTargetRef"]["name"], "imgforge")
            self.assertNotIn("replicas", nodes)  # which would fight with the autoscaler
            config = found["ConfigMap", "imgforge-balancer"]["data"]["haproxy.cfg"]
            servers = re.findall(
                r'server imgforge-(\d+) "imgforge-(\d+)\.([a-z-]+)\.\$\{POD_NAMESPACE\}.*:3000" id (\d+)', config
            )
            expected = [(str(n), str(n), nodes["serviceName"], str(n + 1)) for n in range(scaled["maxReplicas"])]
            self.assertEqual(servers, expected, name)
            for service, component in ((nodes["serviceName"], "node"), ("imgforge", "balancer")):
                selector = found["Service", service]["spec"]["selector"]
                self.assertEqual(selector["app.kubernetes.io/component"], component)
                if component == "node":
                    self.assertLessEqual(selector.items(), labels.items())
            budgets = [
                part["spec"]["selector"]["matchLabels"]
                for (kind, _), part in found.items()
                if kind == "PodDisruptionBudget"
            ]
            self.assertEqual(sorted(budget["app.kubernetes.io/component"] for budget in budgets), ["balancer", "node"])

    def test_a_pod_has_the_time_to_finish(self) -> None:
        for name, text in manifests().items():
            found = parts(text)
            settings = found["ConfigMap", "imgforge-settings"]["data"]
            pod = found["StatefulSet", "imgforge"]["spec"]["template"]["spec"]
            stop = int(settings["IMGFORGE_SHUTDOWN_DELAY"]) + 60 + 8
            self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], stop, name)

    def test_haproxy_takes_its_configuration(self) -> None:
        for name, text in manifests().items():
            config = parts(text)["ConfigMap", "imgforge-balancer"]["data"]["haproxy.cfg"]
            with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
                file.write(config)
                file.flush()
                places = {"POD_NAMESPACE": "images", "CLUSTER_DOMAIN": "cluster.local"}
                ended = ran("haproxy", "-c", "-V", "-dW", "-f", file.name, environment=places)
            self.assertEqual(ended.returncode, 0, name + ended.stderr)


class MonitoringTests(SynchronousTestCase):
    rules = (ETC / "prometheus" / "imgforge.rules.yml").read_text("utf-8")

    def test_the_monitor_finds_the_nodes_and_names_the_job_of_the_rules(self) -> None:
        made = manifests()
        monitor = (ETC / "kubernetes" / "monitoring.yaml").read_text("utf-8")
        for name, text in (("base", made["base"] + "\n---\n" + monitor), ("chart", made["chart, everything"])):
            found = parts(text)
            spec = found["ServiceMonitor", "imgforge"]["spec"]
            services = [part for (kind, _), part in found.items() if kind == "Service"]
            chosen = [
                service["metadata"]["name"]
                for service in services
                if spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
                and {port["name"] for port in service["spec"]["ports"]} & {one["port"] for one in spec["endpoints"]}
            ]
            self.assertEqual(chosen, ["imgforge-nodes"], name)
            labels = found["Service", "imgforge-nodes"]["metadata"]["labels"]
            self.assertIn(f'job="{labels[spec["jobLabel"]]}"', self.rules)

    def test_the_chart_has_the_alerts_and_the_dashboard(self) -> None:
        found = parts(manifests()["chart, everything"])
        rules = found["PrometheusRule", "imgforge"]
        self.assertEqual(rules["metadata"]["labels"]["release"], "prometheus")
        expected = self.rules.replace("runbook_url: docs/", "runbook_url: https://docs.example.com/")
        self.assertEqual(rules["spec"], yaml.safe_load(expected))
        dashboard = found["ConfigMap", "imgforge-dashboard"]
        self.assertEqual(dashboard["data"]["imgforge.json"], (ETC / "grafana" / "imgforge.json").read_text("utf-8"))
        self.assertFalse(any("monitoring" in part["apiVersion"] for part in parts(templated({})[0]).values()))

    def test_the_documented_command_makes_the_alerts(self) -> None:
        text = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
        command = text[text.index("{ printf") : text.index("} | kubectl") + 1]
        ended = subprocess.run(("bash", "-c", command), cwd=ROOT, capture_output=True, text=True, check=True)
        made = yaml.safe_load(ended.stdout)
        self.assertEqual((made["kind"], made["spec"]), ("PrometheusRule", yaml.safe_load(self.rules)))


class ChartTests(SynchronousTestCase):
    def test_lint_finds_nothing(self) -> None:
        ended = ran("helm", "lint", "--strict", CHART)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_mistakes_in_values_are_named(self) -> None:
        for values, word in (
            ({"setings": {}}, "setings"),
            ({"settings": {"CACHE_TYPE": "memory"}}, "CACHE_TYPE"),
            ({"settings": {"IMGFORGE_KEY": "6b6579"}}, "IMGFORGE_KEY"),  # a secret
            ({"settings": {"IMGFORGE_BIND": ":80"}}, "IMGFORGE_BIND"),  # the chart's
            ({"resources": {"limits": {"cpu": None}}}, "cpu"),
            ({"balancer": {"loadFactor": 100}}, "loadFactor"),
            ({"autoscaling": {"maxReplicas": "many"}}, "maxReplicas"),
            ({"service": {"type": "Ingress"}}, "type"),
            ({"monitoring": {"labels": {"release": 1}}}, "release"),
        ):
            made, mistake = templated(values)
            self.assertEqual(made, "", values)
            self.assertIn(word, mistake)

    def test_numbers_and_words_of_settings_stay_as_they_are(self) -> None:
        made, _ = templated(
            {
                "settings": {
                    "IMGFORGE_CACHE_DISK_MAX_BYTES": 6442450944,
                    "IMGFORGE_TIMEOUT": 12.5,
                    "IMGFORGE_AUTO_WEBP": True,
                    "IMGFORGE_SHUTDOWN_DELAY": 120,
                }
            }
        )
        found = parts(made)
        data = found["ConfigMap", "imgforge-settings"]["data"]
        self.assertEqual(data["IMGFORGE_CACHE_DISK_MAX_BYTES"], "6442450944")
        self.assertEqual(data["IMGFORGE_TIMEOUT"], "12.5")
        self.assertEqual(data["IMGFORGE_AUTO_WEBP"], "true")
        pod = found["StatefulSet", "imgforge"]["spec"]["template"]["spec"]
        self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], 188)

    def test_every_value_has_a_comment(self) -> None:
        for block in re.split(r"\n\n", (CHART / "values.yaml").read_text("utf-8"))[1:]:
            if re.match(r"(service|ingress):", block):
                continue  # as in every chart
            self.assertTrue(block.startswith("#"), block)

    def test_versions_are_those_of_imgforge(self) -> None:
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
        self.assertEqual(chart["appVersion"], __version__)
        overlay = yaml.safe_load((ETC / "kubernetes" / "production" / "kustomization.yaml").read_text("utf-8"))
        self.assertEqual(overlay["images"][0]["newTag"], __version__)
