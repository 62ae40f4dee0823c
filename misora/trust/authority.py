"""Our own certificates: a root whose key may leave for a safe, an issuing authority, a leaf that signs; it knows nothing of what is signed.

The leaf lives ten years: without a time-stamp a signed file turns invalid when its leaf expires. Its only extended use is email protection,
the one that stock C2PA readers take. Needs the extra ``misora[sign]``.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misora.client.errors import MissingExtraError, ProvenanceError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

ROOT_YEARS, ISSUER_YEARS, LEAF_YEARS = 30, 20, 10
FILES = ("root.pem", "root.key", "issuing.pem", "issuing.key", "leaf.pem", "leaf.key", "watermark.key")
MARK_BYTES = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Credentials:
    """What signing needs: the leaf's and the issuer's certificates, the leaf's key, the roots to trust, and the watermark's key."""

    chain: bytes = dataclasses.field(repr=False)
    key: bytes = dataclasses.field(repr=False)
    anchors: str = dataclasses.field(repr=False)
    mark_key: bytes = dataclasses.field(repr=False)


def home() -> Path:
    """Where this user's own certificates lie: ``$XDG_DATA_HOME/misora/authority``, usually under ``~/.local/share``."""
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if data else Path.home() / ".local" / "share") / "misora" / "authority"


def open_authority(folder: Path) -> Credentials:
    """The credentials in ``folder``, made there at the first call; root.key is never read again and may be moved away.

    Raises MissingExtraError without ``misora[sign]`` and ProvenanceError when the folder cannot be read or written.
    """
    try:
        if not (folder / "leaf.key").exists():
            _found(folder)
        root = (folder / "root.pem").read_text()
        mark = bytes.fromhex((folder / "watermark.key").read_text().strip())
        return Credentials(chain=(folder / "leaf.pem").read_bytes(), key=(folder / "leaf.key").read_bytes(), anchors=root, mark_key=mark)
    except (OSError, ValueError) as error:
        raise ProvenanceError(f"The certificates in {folder} cannot be used ({error}); give another folder, or restore them.") from None


def operators(certificate: Path, key: Path, ours: Credentials) -> Credentials:
    """The operator's own chain (PEM, leaf first) and key in place of ours; the watermark's key stays. Raises ProvenanceError."""
    try:
        chain = certificate.read_bytes()
        return dataclasses.replace(ours, chain=chain, key=key.read_bytes(), anchors=ours.anchors + chain.decode())
    except (OSError, UnicodeDecodeError) as error:
        raise ProvenanceError(f"The certificate cannot be read ({error}); give PEM files, the leaf first.") from None


def _found(folder: Path) -> None:
    """Make all seven files, in a folder beside that takes its place at once, so that two that start together end with one authority."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    beside.mkdir(mode=0o700)
    root, root_key = _certificate("root", ROOT_YEARS, authority=1)
    issuing, issuing_key = _certificate("issuing authority", ISSUER_YEARS, authority=0, issuer=root, issuer_key=root_key)
    leaf, leaf_key = _certificate("signer", LEAF_YEARS, authority=None, issuer=issuing, issuer_key=issuing_key)
    contents = (_pem(root), _secret(root_key), _pem(issuing), _secret(issuing_key), _pem(leaf) + _pem(issuing), _secret(leaf_key))
    for name, content in zip(FILES, (*contents, secrets.token_hex(MARK_BYTES).encode()), strict=True):
        path = beside / name
        path.touch(mode=0o600 if name.endswith(".key") else 0o644)
        path.write_bytes(content)
    try:
        beside.rename(folder)
    except OSError:  # somebody was quicker, or an unfinished folder lies there
        for path in beside.iterdir():
            path.unlink()
        beside.rmdir()
        if not (folder / "leaf.key").exists():
            raise


def _certificate(
    name: str,
    years: int,
    *,
    authority: int | None,
    issuer: Certificate | None = None,
    issuer_key: EllipticCurvePrivateKey | None = None,
) -> tuple[Certificate, EllipticCurvePrivateKey]:
    """A certificate and its key; ``authority`` is how many authorities may stand below it, None for a leaf."""
    x509, ec, hashes = _library()
    key: EllipticCurvePrivateKey = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, "Misora"),
            x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, f"Misora {name}"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    signing = issuer_key or key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=authority is not None, path_length=authority), critical=True)
        .add_extension(_usage(x509, authority is not None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if authority is None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(signing, hashes.SHA256()), key


def _usage(x509: Any, authority: bool) -> Any:
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    uses = {"digital_signature": not authority, "key_cert_sign": authority, "crl_sign": authority}
    return x509.KeyUsage(**dict.fromkeys(names, False), **uses)


def _library() -> tuple[Any, Any, Any]:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise MissingExtraError("Signing needs more than the core; install misora[sign].") from None
    return x509, ec, hashes


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _secret(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
