# SPDX-License-Identifier: Apache-2.0
"""What a packager does with our keys and signalling: Shaka Packager and ffmpeg encrypt with them, what
they wrote decrypts to the source's frames bit for bit, and what Shaka Packager itself writes about a
key is what the exchange said about it.

Keys stand in arguments here, of ffmpeg for instance, which has no other way to be told one: they are
keys of a test, made a second ago."""
import base64
import json
import os
import re
import subprocess

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from harness import documents as d
from harness.process import run
from harness.site import TOP

SCHEMES = ("cenc", "cbcs")
TRACKS = {"AUDIO": "audio", "SD": "sd", "HD": "hd"}
SKD = "skd://key"
EME = "e2719d58-a985-b3c9-781a-b030af78d30e"
LICENCE_URL = "https://keys.example.com/clearkey"


class Media:
    """What demo/make-media made from the answers of a site's provider."""

    def __init__(self, site, packager):
        web = site.web("lighttpd")
        self.site, self.packager = site, packager
        self.source = os.path.join(site.directory, "clip")
        self.target = os.path.join(site.directory, "media")
        _, user, password = site.credentials()
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "SPEKECTL": site.install.spekectl,
            "PACKAGER": packager,
            "SPEKE_URL": f"{web.base}/v2.0/copyProtection",
            "SPEKE_CA": site.authority.ca_file,
            "SPEKE_USER": user,
            "SPEKE_PASSWORD": password,
        }

    def make(self):
        run([f"{TOP}/demo/make-media", self.source, self.target], env=self.environment)
        return self

    def exchange(self, name):
        with open(f"{self.target}/exchange/{name}.json", encoding="utf-8") as answer:
            return json.load(answer)

    def kid(self, scheme, track):
        found = [k["kid"] for k in self.exchange(scheme)["keys"] if k["track_types"] == [track]]
        assert len(found) == 1, f"{scheme}: one KID for {track} expected, got {found}"
        return found[0]

    def key(self, scheme, track):
        """As the database has it, opened with the KEK: not what the packager was told."""
        return self.site.stored_keys(f"demo-{scheme}")[self.kid(scheme, track)]

    def clip(self, track):
        return f"{self.source}/{'hd' if track == 'HD' else 'sd'}.mp4"

    def packaged(self, scheme, track):
        return f"{self.target}/{scheme}/{TRACKS[track]}.mp4"


@pytest.fixture(scope="module")
def packager():
    run([f"{TOP}/tools/npm.sh", "demo"], timeout=300)
    return f"{TOP}/var/npm/demo/node_modules/shaka-packager/bin/packager-linux-x64"


@pytest.fixture(scope="module")
def media(site, packager):
    settings = {"licence": "on", "la_url": LICENCE_URL}
    for name, value in settings.items():
        site.ctl("drm", "set", "demo", "eme", name, value, user="op")
    yield Media(site, packager).make()
    for name in settings:
        site.ctl("drm", "unset", "demo", "eme", name, user="op")


def frames(path, track, *options, seconds=None):
    """Hash of each decoded frame, of sound: of each frame's samples, in order. An MP4 edit list hides
    the first samples of sound, which an encoder's delay makes; packagers keep no such list."""
    stream = "0:a:0" if track == "AUDIO" else "0:v:0"
    edits = ["-ignore_editlist", "1"] if track == "AUDIO" else []
    length = ["-t", str(seconds)] if seconds else []
    done = run(
        [
            "ffmpeg", "-v", "error", "-nostdin", *edits, *options, "-i", path, "-map", stream, *length,
            "-f", "framemd5", "-",
        ],
        check=False,
    )  # fmt: skip
    return [line.split(",")[-1].strip() for line in done.stdout.splitlines() if line[:1].isdigit()]


def assert_other_frames(found, source, why):
    """What came out with a wrong key or none: of these seconds not one frame is the source's."""
    assert not set(found) & set(source), why


@pytest.fixture(scope="module")
def source(media):
    """{track: frames of the source}"""
    found = {}
    for track in TRACKS:
        found[track] = frames(media.clip(track), track)
        assert len(found[track]) >= 200, f"the source of {track} has {len(found[track])} frames"
        assert len(set(found[track])) > len(found[track]) // 2, "frames of the source must differ"
    return found


# -- decryption -------------------------------------------------------------------------------------


def wrong(key):
    return bytes([key[0] ^ 1]) + key[1:]


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_ffmpeg_decrypts_to_the_source(media, source, scheme, track):
    key, path = media.key(scheme, track), media.packaged(scheme, track)
    assert frames(path, track, "-decryption_key", key.hex()) == source[track], "not the source's frames"
    others = frames(path, track, "-decryption_key", wrong(key).hex(), seconds=1)
    assert_other_frames(others, source[track], "a wrong key decrypts as well")
    assert_other_frames(frames(path, track, seconds=1), source[track], "it plays without a key")


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_packager_decrypts_to_the_source(media, source, scheme, track, tmp_path):
    stream = "audio" if track == "AUDIO" else "video"
    kid, key = media.kid(scheme, track).replace("-", ""), media.key(scheme, track)

    def decrypt(name, key, seconds=None):
        out = tmp_path / name
        run(
            [
                media.packager, "--quiet",
                f"in={media.packaged(scheme, track)},stream={stream},output={out}",
                "--enable_raw_key_decryption", "--keys", f"label=:key_id={kid}:key={key.hex()}",
            ],
            check=False,
        )  # fmt: skip
        return frames(str(out), track, seconds=seconds)

    assert decrypt("right.mp4", key) == source[track], "not the source's frames"
    assert_other_frames(
        decrypt("wrong.mp4", wrong(key), 1), source[track], "a wrong key decrypts as well"
    )


def test_keys_differ_between_tracks(media):
    for scheme in SCHEMES:
        assert len({media.key(scheme, track) for track in TRACKS}) == 3, f"{scheme}: tracks share a key"


def test_aes128_segments_decrypt_to_the_source(media, source, tmp_path):
    """Each period's segments open with the key that its EXT-X-KEY line names, and with no other; the
    segment's number is its IV; put together they are the source's pictures."""
    keys = media.site.stored_keys("demo-aes128")
    kids, clear, number = [], b"", 0
    with open(f"{media.target}/aes128/index.m3u8", encoding="utf-8") as playlist:
        for line in playlist:
            if line.startswith("#EXT-X-KEY"):
                assert "METHOD=AES-128" in line and "IV=" not in line, line
                kids.append(re.search(r'URI="[^"]*/([0-9a-f-]{36})"', line).group(1))
            elif not line.startswith("#"):
                with open(f"{media.target}/aes128/{line.strip()}", "rb") as segment:
                    data = segment.read()
                clear += aes128(data, keys[kids[-1]], number)
                for kid, key in keys.items():
                    if kid != kids[-1]:
                        assert aes128(data, key, number)[:1] != b"G", "another period's key opens it"
                number += 1
    assert number == 4 and len(set(kids)) == 2, f"{number} segments, KIDs {kids}"
    path = tmp_path / "clear.ts"
    path.write_bytes(clear)
    assert frames(str(path), "SD") == source["SD"], "not the source's frames"


def aes128(data, key, number):
    """RFC 8216, 4.3.2.4 and 5.2; with a wrong key whatever comes out."""
    opened = Cipher(algorithms.AES(key), modes.CBC(number.to_bytes(16, "big"))).decryptor()
    padded = opened.update(data) + opened.finalize()
    try:
        unpadder = padding.PKCS7(128).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return padded


def test_no_key_in_arguments_or_files(media, tmp_path):
    """The packager's and ffmpeg's arguments, taken down while they run, and all that is left behind."""
    seen = tmp_path / "arguments"
    for name in ("packager", "ffmpeg"):
        real = media.packager if name == "packager" else "/usr/bin/ffmpeg"
        shim = tmp_path / name
        shim.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{seen}\nexec {real} "$@"\n')
        shim.chmod(0o755)
    environment = {
        **media.environment, "PATH": f"{tmp_path}:/usr/bin:/bin", "PACKAGER": str(tmp_path / "packager")
    }  # fmt: skip
    target = tmp_path / "media"
    run([f"{TOP}/demo/make-media", media.source, str(target)], env=environment)
    assert b"--enable_raw_key_encryption" in seen.read_bytes(), "the packager was not seen"
    assert b"-hls_key_info_file" in seen.read_bytes(), "ffmpeg was not seen"
    keys = [
        key
        for content in ("demo-cenc", "demo-cbcs", "demo-aes128")
        for key in media.site.stored_keys(content).values()
    ]
    assert len(keys) == 8, f"{len(keys)} keys"
    for path in [seen, *(p for p in target.rglob("*") if p.is_file())]:
        data = path.read_bytes()
        for key in keys:
            for form in (key, key.hex().encode(), base64.b64encode(key)):
                assert form not in data, f"a key is in {path}"


# -- signalling -------------------------------------------------------------------------------------


def packager_says(media, scheme, track, iv, directory):
    """What Shaka Packager writes about one key by itself: {system ID: (pssh, PlayReady object)} of the
    manifest, {(tag, KEYFORMAT): attributes} of the playlists."""
    kid, key = media.kid(scheme, track), media.key(scheme, track)
    constant = f":iv={iv.hex()}" if scheme == "cbcs" else ""
    run(
        [
            media.packager, "--quiet",
            f"in={media.clip(track)},stream=video,output={directory}/v.mp4,drm_label=V,playlist_name=v.m3u8",
            "--protection_scheme", scheme, "--clear_lead", "0", "--enable_raw_key_encryption",
            "--keys", f"label=V:key_id={kid.replace('-', '')}:key={key.hex()}{constant}",
            "--protection_systems", "Widevine,PlayReady,FairPlay,Common", "--hls_key_uri", SKD,
            "--mpd_output", f"{directory}/m.mpd", "--hls_master_playlist_output", f"{directory}/m.m3u8",
            "--create_session_keys",
        ]
    )  # fmt: skip
    manifest = (directory / "m.mpd").read_text()
    boxes = {}
    for system, body in re.findall(
        r'<ContentProtection[^>]*"urn:uuid:([0-9a-f-]+)"[^>]*>(.*?)</ContentProtection>', manifest, re.S
    ):
        pro = re.search(r"<mspr:pro>(.*?)</mspr:pro>", body)
        boxes[system] = (re.search(r"<cenc:pssh>(.*?)</cenc:pssh>", body).group(1), pro and pro.group(1))
    lines = {}
    for name in ("v.m3u8", "m.m3u8"):
        for line in (directory / name).read_text().splitlines():
            if line.startswith(("#EXT-X-KEY", "#EXT-X-SESSION-KEY")):
                tag, attributes = attributes_of(line)
                lines[tag, attributes.get("KEYFORMAT")] = attributes
    return boxes, lines


def attributes_of(line):
    tag, text = line.split(":", 1)
    pairs = re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)(?:,|$)', text)
    return tag, {name: value.strip('"') for name, value in pairs}


def exchange_says(media, scheme, *settings):
    """A further exchange about the packaged content, with these settings of the tenant meanwhile."""
    systems = "widevine,playready,common" + (",fairplay" if scheme == "cbcs" else "")
    for system, name, value in settings:
        media.site.ctl("drm", "set", "demo", system, name, value, user="op")
    try:
        done = subprocess.run(
            [
                media.site.install.spekectl, "request", "--json", "--content-id", f"demo-{scheme}",
                "--scheme", scheme, "--drm", systems, "--preset", "PRESET-VIDEO-2,PRESET-AUDIO-1",
            ],
            env=media.environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    finally:
        for system, name, _ in settings:
            media.site.ctl("drm", "unset", "demo", system, name, user="op")
    return json.loads(done.stdout)


def of_key(answer, kid):
    return {system["system_id"]: system for system in answer["systems"] if system["kid"] == kid}


def iv_of(answer, kid):
    return base64.b64decode(next(key["iv"] for key in answer["keys"] if key["kid"] == kid))


@pytest.mark.parametrize("track", ["SD", "HD"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_boxes_equal_the_packagers(media, scheme, track, tmp_path):
    """Byte for byte: the pssh boxes of Widevine, PlayReady and W3C common, and the PlayReady object
    with its checksum of the key; in the manifest as in PSSH."""
    answer, kid = media.exchange(scheme), media.kid(scheme, track)
    boxes, _ = packager_says(media, scheme, track, iv_of(answer, kid), tmp_path)
    ours = of_key(answer, kid)
    assert {d.WIDEVINE, d.PLAYREADY, d.COMMON} <= set(boxes), f"the packager wrote {sorted(boxes)}"
    for system, (pssh, pro) in boxes.items():
        assert ours[system]["pssh"]["value"] == pssh, f"{system}: another pssh box"
        data = ours[system]["content_protection_data"]
        assert f">{pssh}</cenc:pssh>" in data, f"{system}: another cenc:pssh"
        assert (system == d.PLAYREADY) == bool(pro)
        assert pro is None or f">{pro}</mspr:pro>" in data, f"{system}: another PlayReady object"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_manifest_says_what_the_exchange_said(media, scheme):
    """Of each track's key its own descriptors, and nothing of the packager's."""
    answer = media.exchange(scheme)
    with open(f"{media.target}/{scheme}/manifest.mpd", encoding="utf-8") as file:
        manifest = file.read()
    for track in TRACKS:
        kid = media.kid(scheme, track)
        part = re.search(
            f'default_KID="{kid}"/>\\s*((?:<ContentProtection.*?</ContentProtection>\\s*)*)<', manifest, re.S
        ).group(1)
        found = dict(
            re.findall(r'<ContentProtection schemeIdUri="urn:uuid:([^"]+)"[^>]*>(.*?)</ContentProtection>', part)
        )
        expected = {
            system: value["content_protection_data"]
            for system, value in of_key(answer, kid).items()
            if value.get("content_protection_data")
        }
        assert found == expected, f"{track}: {sorted(found)}"
        assert LICENCE_URL in found[EME], f"{track}: no licence URL"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_hls_lines_equal_the_packagers(media, scheme, tmp_path):
    """With the tenant's settings hls_ctr_method and hls_keyid on, attribute by attribute; their order
    has no meaning (RFC 8216, 4.2). Differences, each by intention:
    - the packager adds IV to the cbcs lines of Widevine and PlayReady: the IV that is in the file
      (tenc), where those systems look for it;
    - the packager has one URI for FairPlay that its caller gives; ours comes from the tenant's template;
    - it writes KEYFORMAT identity with that URI, too, which is no DRM system of an exchange."""
    kid = media.kid(scheme, "SD")
    answer = exchange_says(
        media, scheme, ("widevine", "hls_ctr_method", "on"), ("playready", "hls_ctr_method", "on"),
        ("widevine", "hls_keyid", "on"), *([("fairplay", "hls_uri", SKD)] if scheme == "cbcs" else []),
    )  # fmt: skip
    iv = iv_of(answer, kid)
    _, theirs = packager_says(media, scheme, "SD", iv, tmp_path)
    ours = {}
    for system in of_key(answer, kid).values():
        for line in (system.get("hls_media"), system.get("hls_master")):
            if line:
                tag, attributes = attributes_of(line)
                ours[tag, attributes["KEYFORMAT"]] = attributes
    assert len(ours) == (6 if scheme == "cbcs" else 4), f"lines {sorted(ours)}"
    for name, attributes in ours.items():
        expected = dict(theirs[name])
        if scheme == "cbcs" and (name[1] != "com.apple.streamingkeydelivery"):
            added = expected.pop("IV", None)
            assert added in (None, f"0x{iv.hex()}"), f"{name}: IV {added}"
        assert attributes == expected, f"{name}: ours {attributes}, the packager's {expected}"
    left = {keyformat for _, keyformat in set(theirs) - set(ours)}
    assert left <= {"identity", "com.apple.streamingkeydelivery"}, f"we lack {left}"


def test_hls_method_without_settings(media):
    """By default cenc is signalled as SAMPLE-AES, as the AWS encryptors have it; the packager writes
    SAMPLE-AES-CTR, and so do we once hls_ctr_method is on (above)."""
    for system in of_key(media.exchange("cenc"), media.kid("cenc", "SD")).values():
        if system.get("hls_media"):
            _, attributes = attributes_of(system["hls_media"])
            assert attributes["METHOD"] == "SAMPLE-AES" and "KEYID" not in attributes, attributes
