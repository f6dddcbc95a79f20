"""Settings: where they come from, which wins, and one line for each mistake."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import ConfigurationError, Settings, json_schema, load_settings
from imgforge.service import url_settings

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}


class LoadingCase(SynchronousTestCase):
    def load(self, file: str = "", bind: str = "", **environ: str) -> Settings:
        environ = {f"IMGFORGE_{name}": value for name, value in environ.items()}
        if not file:
            return load_settings(None, environ, {"bind": bind})
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as written:
            written.write(file)
            written.flush()
            return load_settings(written.name, environ, {"bind": bind})

    def mistakes(self, file: str = "", **environ: str) -> tuple[str, ...]:
        with self.assertRaises(ConfigurationError) as caught:
            self.load(file, **environ)
        lines: tuple[str, ...] = caught.exception.lines
        return lines


class PrecedenceTests(LoadingCase):
    def test_the_environment_wins_over_the_file_and_the_command_line_over_both(self) -> None:
        settings = self.load(
            'quality = 10\nttl = 5\nbind = "127.0.0.1:1"', bind="127.0.0.1:3", QUALITY="20", BIND="127.0.0.1:2"
        )
        self.assertEqual((settings.quality, settings.ttl, settings.bind), (20, 5, "127.0.0.1:3"))

    def test_an_empty_variable_is_the_default(self) -> None:
        self.assertEqual(self.load("quality = 10", QUALITY="").quality, 10)

    def test_what_kubernetes_says_of_a_service_called_imgforge_is_no_mistake(self) -> None:
        links = {
            "SERVICE_HOST": "10.96.0.7",
            "SERVICE_PORT": "3000",
            "SERVICE_PORT_HTTP": "3000",
            "PORT": "tcp://10.96.0.7:3000",
            "PORT_3000_TCP": "tcp://10.96.0.7:3000",
            "PORT_3000_TCP_PROTO": "tcp",
            "PORT_3000_TCP_PORT": "3000",
            "PORT_3000_TCP_ADDR": "10.96.0.7",
        }
        self.assertTrue(self.load(**links).embedded)
        self.assertEqual(len(self.mistakes(PORT="3000", SERVICE="x", PORT_X="tcp://x")), 3)

    def test_what_says_how_to_run_the_tests_is_no_mistake(self) -> None:
        self.assertTrue(self.load(TESTS="full", TEST_STORES="/stores").embedded)
        self.assertEqual(len(self.mistakes('tests = "full"', TEST="x")), 2)

    def test_older_names_are_taken(self) -> None:
        settings = self.load(
            ENABLE_WEBP_DETECTION="1", LAST_MODIFIED_ENABLED="false", CACHE_USE="fs", CACHE_DISK_PATH="/x"
        )
        self.assertEqual((settings.auto_webp, settings.use_last_modified, settings.cache_type), (True, False, "disk"))

    def test_names_of_headers_and_cookies_are_tokens(self) -> None:
        settings = self.load(CACHE_KEY_HEADERS="X-Tenant, Accept-Language", CACHE_KEY_COOKIES="Session")
        self.assertEqual(settings.cache_key_headers, ("x-tenant", "accept-language"))
        self.assertEqual(settings.cache_key_cookies, ("Session",))
        self.assertIn("names", self.mistakes(CACHE_KEY_HEADERS="x y")[0])

    def test_status_of_a_fallback_image_is_one_of_responses_with_a_body(self) -> None:
        for status in ("0", "200", "404", "503", "599"):
            self.assertEqual(self.load(FALLBACK_IMAGE_HTTP_CODE=status).fallback_image_http_code, int(status))
        for status in ("42", "101", "199", "204", "205", "304"):
            (line,) = self.mistakes(FALLBACK_IMAGE_HTTP_CODE=status)
            self.assertIn("must be 0 or the status of a response with a body: from 200 to 599 without 204", line)
        self.assertEqual(len(self.mistakes(FALLBACK_IMAGE_HTTP_CODE="600")), 1)

    def test_the_names_of_imgproxys_cache_are_taken(self) -> None:
        settings = self.load(CACHE_USE="fs", CACHE_FS_ROOT="/x")
        self.assertEqual((settings.prepare_cache(), settings.cache_use), (("disk", "/x"), ""))

    def test_mistakes_name_the_setting_that_was_written(self) -> None:
        for name, kind in (("CACHE_USE", "fs"), ("CACHE_TYPE", "fs"), ("CACHE_TYPE", "hybrid"), ("CACHE_USE", "Disk")):
            line = f"IMGFORGE_{name}={kind.lower()} needs IMGFORGE_CACHE_DISK_PATH, a directory"
            self.assertEqual(self.mistakes(**{name: kind}), (line,))
            self.assertEqual(self.mistakes(f'{name.lower()} = "{kind}"'), (line,))
        (line,) = self.mistakes('cache_type = "disk"', CACHE_USE="fs")  # the environment's wins
        self.assertEqual(line, "IMGFORGE_CACHE_USE=fs needs IMGFORGE_CACHE_DISK_PATH, a directory")

    def test_a_shared_cache_stands_beside_those_of_the_node(self) -> None:
        settings = self.load(CACHE_USE="Redis", CACHE_TYPE="memory")
        self.assertEqual((settings.prepare_cache(), settings.cache_use), (("memory", ""), "redis"))
        settings = self.load('cache_use = "redis"', CACHE_USE="fs", CACHE_DISK_PATH="/x")
        self.assertEqual((settings.prepare_cache(), settings.cache_use), (("disk", "/x"), ""))

    def test_lists_come_as_text_and_as_arrays(self) -> None:
        self.assertEqual(self.load('allowed_sources = ["a", "b"]').allowed_sources, ("a", "b"))
        self.assertEqual(self.load(ALLOWED_SOURCES="a, b").allowed_sources, ("a", "b"))
        self.assertEqual(self.load(FORMAT_QUALITY="jpg=70,webp=60").format_quality, {"jpeg": 70, "webp": 60})
        self.assertEqual(self.load(URL_REPLACEMENTS="a=b;c=d=e").url_replacements, (("a", "b"), ("c", "d=e")))

    def test_the_default_format_has_all_the_names_that_the_rust_imgforge_gives_it(self) -> None:
        for written, name in (
            ("jpg", "jpeg"),
            ("JPEG", "jpeg"),
            ("heif", "heic"),
            ("heic", "heic"),
            (" source", "source"),
        ):
            self.assertEqual(self.load(DEFAULT_FORMAT=written).default_format, name)
        for wrong in ("pdf", "best", "jpeg,png"):
            with self.assertRaisesRegex(ConfigurationError, "source, jpeg, png"):
                self.load(DEFAULT_FORMAT=wrong)

    def test_a_setting_under_its_own_name_wins_over_its_older_one(self) -> None:
        for names in (("AUTO_WEBP", "ENABLE_WEBP_DETECTION"), ("ENABLE_WEBP_DETECTION", "AUTO_WEBP")):
            given = {name: str(name == "AUTO_WEBP").lower() for name in names}
            self.assertTrue(self.load(**given).auto_webp)

    def test_presets_come_from_a_file_too(self) -> None:
        with tempfile.NamedTemporaryFile("w") as written:
            written.write("# ours\nthumb=w:1\n\nwide=wmt:a,b\n")
            written.flush()
            expected = {"thumb": "w:2", "wide": "wmt:a,b"}
            self.assertEqual(self.load(PRESETS="thumb=w:2", PRESETS_PATH=written.name).presets, expected)
            table = f'presets_path = "{written.name}"\n[presets]\nthumb = "w:2"'
            self.assertEqual(self.load(table).presets, expected)

    def test_presets_of_info_do_so_as_well(self) -> None:
        with tempfile.NamedTemporaryFile("w") as written:
            written.write("# ours\ndefault=xmp:0/blurhash:4:3\nthumb=th:1\n")
            written.flush()
            settings = self.load(INFO_PRESETS="thumb=th:0", INFO_PRESETS_PATH=written.name)
        self.assertEqual(settings.info_presets, {"default": "xmp:0/blurhash:4:3", "thumb": "th:0"})
        self.assertEqual(settings.presets, {})
        parted = self.load(INFO_PRESETS="a=p:2|b=ct:x,y", PRESETS_SEPARATOR="|")
        self.assertEqual(parted.info_presets, {"a": "p:2", "b": "ct:x,y"})

    def test_what_holds_of_presets_holds_of_info_unless_it_is_said(self) -> None:
        for only, info, expected in (("true", "", True), ("true", "false", False), ("", "1", True), ("", "", False)):
            settings = self.load(ONLY_PRESETS=only, INFO_ONLY_PRESETS=info)
            self.assertIs(url_settings(settings).info_only_presets, expected, (only, info))
        self.assertIs(url_settings(self.load("info_only_presets = true")).info_only_presets, True)

    def test_what_was_given_makes_an_equal_value_elsewhere(self) -> None:
        settings = self.load(
            "quality = 33", PRESETS="a=w:1", **{n.removeprefix("IMGFORGE_"): v for n, v in KEYS.items()}
        )
        self.assertEqual(Settings.from_given(settings.given), settings)


class MistakeTests(LoadingCase):
    def test_each_mistake_is_a_line_that_names_setting_value_and_what_is_allowed(self) -> None:
        lines = self.mistakes('workers = "many"\nquality = 400\ntimout = 3')
        self.assertEqual(len(lines), 3)
        for line, words in zip(
            sorted(lines), (("QUALITY=400", "100"), ("WORKERS='many'", "integer"), ("timout", "timeout")), strict=True
        ):
            for word in words:
                self.assertIn(word, line)

    def test_no_mistake_hides_another(self) -> None:
        lines = self.mistakes(WORKERS="x", KEY="aa", CACHE_TYPE="disk", BIND="0.0.0.0:1", NONSENSE="1")
        self.assertEqual(len(lines), 4, lines)  # the key that was given answers for the address
        self.assertEqual(len(self.mistakes(KEY="x", SALT="aa", BIND="0.0.0.0:1")), 1)

    def test_a_line_of_the_presets_file_that_is_no_preset(self) -> None:
        with tempfile.NamedTemporaryFile("w") as written:
            written.write("thumb=w:1\n\nthumb\n=w:1\n")
            written.flush()
            lines = self.mistakes(PRESETS_PATH=written.name)
        self.assertEqual([line.split(": ")[1][:6] for line in lines], ["line 3", "line 4"])

    def test_a_mistake_under_an_older_name_says_that_name(self) -> None:
        self.assertIn("as IMGFORGE_ENABLE_WEBP_DETECTION", self.mistakes(ENABLE_WEBP_DETECTION="yess")[0])

    def test_what_is_allowed_is_said_in_plain_words(self) -> None:
        for value in ("yess", "2"):
            self.assertRegex(self.mistakes(AUTO_WEBP=value)[0], ": must be true or false$")
        self.assertRegex(self.mistakes("path_prefix = 'images'")[0], ": must be empty or begin with a slash$")

    def test_booleans_are_no_numbers(self) -> None:
        self.assertEqual(len(self.mistakes("quality = true\ntimeout = true")), 2)

    def test_levels_are_known_before_the_start(self) -> None:
        self.assertEqual(self.load(LOG_LEVEL="imgforge=debug, warn").log_level, "imgforge=debug, warn")
        for text in ("debgu", "imgforge=", "=info"):
            self.assertRegex(self.mistakes(LOG_LEVEL=text)[0], "must be one of .*, or namespace=level, separated")

    def test_what_is_quoted_is_one_line_and_short(self) -> None:
        for name, value in (
            ("QUALITY", "9\n" * 9999),
            ("A\nB", "1"),
            ("PRESETS_PATH", "\0"),
            ("PRESETS_PATH", "x" * 9999),
        ):
            (line,) = self.mistakes(**{name: value})
            self.assertEqual(len(line.splitlines()), 1)
            self.assertLess(len(line), 300)

    def test_secrets_are_not_repeated(self) -> None:
        (line,) = self.mistakes(KEY="not-hex-but-secret", SALT="aa")
        self.assertIn("IMGFORGE_KEY=***", line)
        self.assertNotIn("secret", line)

    def test_passwords_in_urls_are_not_repeated_also_where_the_url_is_cut(self) -> None:
        for url in ("redis://:hush@h:x/0", "redis://" + "hush" * 50 + "@h:x/0"):
            (line,) = self.mistakes(QUEUE_URL=url)
            self.assertNotIn("hush", line)

    def test_keys_and_salts_come_in_pairs(self) -> None:
        self.assertIn("2 keys", self.mistakes(KEY="aa,bb", SALT="cc")[0])
        self.assertIn("IMGFORGE_KEY has 1 key and IMGFORGE_SALT 0 salts", self.mistakes(KEY="aa")[0])

    def test_malformed_keys_never_switch_checking_off(self) -> None:
        for text in (",", " ", "aa,", ",aa", "aa,,bb", "a", "0xaa", "aa bb", "zz"):
            lines = self.mistakes(KEY=text, SALT=text)
            self.assertEqual(len(lines), 2, (text, lines))
        for toml in ("key = false", "key = 0", 'key = [""]', "key = [1]"):
            self.assertEqual(len(self.mistakes(toml)), 1, toml)

    def test_networks_are_what_they_look_like(self) -> None:
        settings = self.load(TRUSTED_PROXIES="10.0.0.0/8, unix,::1", ALLOWED_CLIENTS="2001:DB8::/32")
        self.assertEqual(settings.trusted_proxies, ("10.0.0.0/8", "unix", "::1/128"))
        self.assertEqual(settings.allowed_clients, ("2001:db8::/32",))
        for text in ("10.0.0.1/8", "10.0.0.0/33", "example.com", "*", ",", " ", "10.0.0"):
            self.assertEqual(len(self.mistakes(ALLOWED_CLIENTS=text)), 1, text)

    def test_limits_are_finite_and_positive(self) -> None:
        for name in ("TIMEOUT", "DOWNLOAD_TIMEOUT", "MAX_SRC_RESOLUTION"):
            for value in ("nan", "inf", "-1", "1e400", "x"):
                self.assertEqual(len(self.mistakes(**{name: value})), 1, (name, value))

    def test_a_file_that_cannot_be_read_or_parsed(self) -> None:
        self.assertIn("not valid TOML", self.mistakes("quality = ")[0])
        with self.assertRaises(ConfigurationError):
            load_settings("/nonexistent/imgforge.toml", {})

    def test_the_disk_needs_a_directory(self) -> None:
        self.assertIn("CACHE_DISK_PATH", self.mistakes(CACHE_TYPE="hybrid")[0])

    @given(st.sampled_from(sorted(Settings.fields)), st.text(max_size=30))
    def test_no_text_raises_anything_but_a_configuration_error(self, name: str, value: str) -> None:
        try:
            load_settings(None, {f"IMGFORGE_{name.upper()}": value})
        except ConfigurationError as error:
            self.assertTrue(all(len(line.splitlines()) == 1 for line in error.lines), error.lines)


class LoopbackTests(LoadingCase):
    def test_without_keys_only_loopback_is_served(self) -> None:
        for bind in ("127.0.0.1:1", "localhost:1", "[::1]:1", "tcp:1:interface=127.0.0.1", ""):
            self.assertTrue(self.load(BIND=bind).direct_only, bind)
        for bind in (
            "unix:/x",
            "/x",
            "127.0.0.1:1,/x",
            "0.0.0.0:1",
            ":1",
            "1",
            "10.0.0.1:1",
            "tcp:1",
            "[::]:1",
            "systemd:domain=INET:index=0",
        ):
            self.assertIn("imgforge keygen", self.mistakes(BIND=bind)[0], bind)
            allowed = self.load(BIND=bind, ALLOW_UNSIGNED="true")
            self.assertEqual((allowed.unsigned_allowed, allowed.direct_only), (True, False))

    def test_with_keys_the_default_is_every_interface(self) -> None:
        settings = load_settings(None, KEYS)
        self.assertEqual([str(one) for one in settings.listeners], ["http://0.0.0.0:3000"])
        self.assertEqual((settings.unsigned_allowed, settings.direct_only), (False, False))

    def test_risky_settings_are_warned_of(self) -> None:
        names = ("ALLOW_UNSIGNED", "IGNORE_SSL_VERIFICATION", "ALLOW_LOOPBACK_SOURCE_ADDRESSES")
        warnings = "\n".join(self.load(**dict.fromkeys(names, "true")).warnings())
        for name in names:
            self.assertIn(name, warnings)
        for name, value in (
            ("MAX_CLIENTS", "0"),
            ("TRUSTED_SIGNATURES", "x"),
            ("SIGNATURE_SIZE", "4"),
            ("TRUSTED_PROXIES", "::/0"),
            ("CACHE_DISK_MAX_BYTES", "0"),
            ("SOURCE_MEMORY_MAX_BYTES", "0"),
            ("ALLOW_BYPASS_CACHE", "true"),
            ("LOCAL_FILESYSTEM_ROOT", "/tmp/.."),
        ):
            settings = {"CACHE_TYPE": "disk", "CACHE_DISK_PATH": "/x", name: value}
            environment = KEYS | {f"IMGFORGE_{name}": value for name, value in settings.items()}
            (line,) = load_settings(None, environment).warnings()
            self.assertIn(name, line)
        self.assertEqual(load_settings(None, KEYS).warnings(), ())


class TryOutTests(LoadingCase):
    def setUp(self) -> None:
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.patch(os, "environ", {**os.environ, "XDG_CACHE_HOME": home.name})
        self.users = ("hybrid", str(Path(home.name, "imgforge")))

    def test_without_a_key_on_loopback_there_is_a_hybrid_cache_in_the_users_directory(self) -> None:
        for settings in (self.load(), self.load(bind="127.0.0.1:9"), self.load(LOG_LEVEL="debug", QUALITY="70")):
            self.assertTrue(settings.embedded)
            self.assertEqual(settings.prepare_cache(), self.users)
            self.assertGreater(settings.max_animation_frames, 1)

    def test_what_is_configured_of_it_is_obeyed(self) -> None:
        for configured, cache in (
            ({"CACHE_TYPE": "none"}, ("", "")),
            ({"CACHE_TYPE": "memory"}, ("memory", "")),
            ({"CACHE_USE": "redis"}, ("", "")),
            ({"CACHE_DISK_PATH": "/x"}, ("hybrid", "/x")),
            ({"CACHE_TYPE": "disk", "CACHE_DISK_PATH": "/x"}, ("disk", "/x")),
        ):
            settings = self.load(**configured)
            self.assertEqual((settings.embedded, settings.prepare_cache()), (True, cache))
        self.assertEqual(self.load(MAX_ANIMATION_FRAMES="1").max_animation_frames, 1)

    def test_another_process_makes_the_same_of_it(self) -> None:
        settings = self.load(LOG_LEVEL="debug")
        again = Settings.from_given(settings.given)
        self.assertEqual((again, again.prepare_cache()), (settings, settings.prepare_cache()))

    def test_with_a_key_or_for_anybody_it_is_no_try_out(self) -> None:
        for settings in (load_settings(None, KEYS), self.load(ALLOW_UNSIGNED="true", bind="127.0.0.1:9")):
            self.assertEqual((settings.embedded, settings.prepare_cache()), (False, ("", "")))
            self.assertEqual(settings.max_animation_frames, 1)


class ShowingTests(LoadingCase):
    def test_secrets_are_masked(self) -> None:
        given = {"SECRET": "hush", "TRUSTED_SIGNATURES": "open", "BASE_URL": "https://me:hush@x/a@b/"}
        masked = load_settings(None, KEYS | {f"IMGFORGE_{name}": value for name, value in given.items()}).masked()
        self.assertEqual([masked[name] for name in ("key", "salt", "secret", "trusted_signatures")], ["***"] * 4)
        self.assertEqual(masked["base_url"], "https://***@x/a@b/")

    def test_the_schema_knows_every_setting(self) -> None:
        self.assertEqual(set(json_schema()["properties"]), set(Settings.fields))

    def test_the_schema_allows_lists_and_tables_in_both_notations(self) -> None:
        properties = json_schema()["properties"]
        for name, other in (("allowed_sources", "array"), ("key", "array"), ("presets", "object")):
            self.assertEqual([one["type"] for one in properties[name]["anyOf"]], ["string", other], name)


class HeaderTests(LoadingCase):
    def test_custom_headers_come_as_text_and_as_tables(self) -> None:
        expected = {"X-A": "1=2; 3", "X-B": ""}
        for text, separator in ((r"X-A=1=2; 3\; X-B=", r"\;"), ("X-A=1=2; 3||X-B=", "||")):
            settings = self.load(CUSTOM_RESPONSE_HEADERS=text, CUSTOM_HEADERS_SEPARATOR=separator)
            self.assertEqual(settings.custom_response_headers, expected)
            self.assertEqual(Settings.from_given(settings.given).custom_response_headers, expected)
        table = '[custom_request_headers]\n"X-A" = "1=2; 3"\n"X-B" = ""'
        self.assertEqual(self.load(table).custom_request_headers, expected)

    def test_nothing_in_them_breaks_a_message_apart(self) -> None:
        for text in ("X A=1", "X-A", "=1", "X-A=1\r\nX-B: 1", "X-A=\x7f", "X-A=ä", "X-A:=1"):
            for name in ("CUSTOM_REQUEST_HEADERS", "CUSTOM_RESPONSE_HEADERS"):
                self.assertEqual(len(self.mistakes(**{name: text})), 1, (name, text))
        self.assertEqual(len(self.mistakes('custom_request_headers = {"X-A" = 1}')), 1)

    def test_what_imgforge_says_itself_is_not_to_be_had_twice(self) -> None:
        for name in ("Host", "content-length", "Transfer-Encoding", "Accept-Encoding", "If-None-Match"):
            self.assertIn(name, self.mistakes(CUSTOM_REQUEST_HEADERS=f"{name}=1")[0])
        for name in ("Cache-Control", "etag", "Content-Type", "Connection"):
            self.assertIn(name, self.mistakes(CUSTOM_RESPONSE_HEADERS=f"{name}=1")[0])

    def test_what_is_passed_on_of_clients_is_no_secret_of_ours(self) -> None:
        passed = "X-Who, Authorization"
        self.assertEqual(
            self.load(REQUEST_HEADERS_PASSTHROUGH=passed).request_headers_passthrough, ("x-who", "authorization")
        )
        self.assertIn("SECRET", self.mistakes(REQUEST_HEADERS_PASSTHROUGH=passed, SECRET="hush")[0])
        for name, word in (("Cookie", "COOKIE_PASSTHROUGH"), ("Host", "host"), ("Range", "range"), ("x y", "names")):
            self.assertIn(word, self.mistakes(REQUEST_HEADERS_PASSTHROUGH=name)[0])
        for url in ("img.example", "ftp://img.example", "http://", "http://me@img.example", "http://a b/"):
            self.assertEqual(len(self.mistakes(COOKIE_BASE_URL=url)), 1, url)

    def test_what_is_handed_on_of_origins_is_for_everybody(self) -> None:
        self.assertEqual(
            self.load(RESPONSE_HEADERS_PASSTHROUGH="X-License").response_headers_passthrough, ("x-license",)
        )
        for name in ("Set-Cookie", "Content-Length", "ETag", "Transfer-Encoding", "Cache-Control"):
            self.assertIn(name.lower(), self.mistakes(RESPONSE_HEADERS_PASSTHROUGH=name)[0])

    def test_what_origins_are_told_is_not_shown(self) -> None:
        self.assertNotIn("hush", self.mistakes(CUSTOM_REQUEST_HEADERS="X-Token: hush")[0])
        masked = self.load(CUSTOM_REQUEST_HEADERS="X-Token=hush").masked()
        self.assertEqual(masked["custom_request_headers"], "***")


class PluginSettingsTests(SynchronousTestCase):
    def test_variables_are_gathered_by_plugin(self) -> None:
        settings = load_settings(None, {"IMGFORGE_PLUGIN_ZIP_ROOT": "/a", "IMGFORGE_PLUGIN_ZIP_MAX_BYTES": "5"})
        self.assertEqual(settings.plugin, {"zip": {"root": "/a", "max_bytes": "5"}})
        self.assertEqual(settings.masked()["plugin"], "***")
        self.assertEqual(Settings.from_given(settings.given).plugin, settings.plugin)

    def test_what_names_no_plugin_or_no_value_is_a_mistake(self) -> None:
        for text in ("[plugin.Zip]", "[plugin.a_b]", "[plugin.zip]\nX = 1", "[plugin.zip]\nx = [1]", "plugin = 'zip'"):
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write(text)
                file.flush()
                with self.assertRaisesRegex(ConfigurationError, r"IMGFORGE_PLUGIN=\*\*\* in .*: must "):
                    load_settings(file.name, {})
        with self.assertRaisesRegex(ConfigurationError, "IMGFORGE_PLUGIN_ZIP in the environment is not a setting"):
            load_settings(None, {"IMGFORGE_PLUGIN_ZIP": "x"})
