"""Test certificates made with openssl: CAs, and keystores as we read them (key and chain in one PEM file)."""

import subprocess
from pathlib import Path


def _openssl(*arguments, stdin=None):
    result = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, f"openssl {' '.join(map(str, arguments))}\n{result.stderr}"
    return result.stdout


class Ca:
    def __init__(self, folder, name):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate = self.folder / f"{name}-ca.pem"
        self._key = self.folder / f"{name}-ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30,
                 "-subj", f"/O=Millrace Test/CN={name} CA", "-keyout", self._key, "-out", self.certificate,
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def keystore(self, name, subject, alt_names="IP:127.0.0.1,DNS:localhost", file=None):
        """A PEM file with key (PKCS#8), certificate and CA. `file` replaces an existing one in one step."""
        key, request, leaf = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                 "-keyout", key, "-out", request)
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alt_names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", 20,
                 "-extfile", extensions, "-out", leaf)
        target = Path(file) if file else self.folder / f"{name}.pem"
        scratch = target.with_suffix(".new")
        scratch.write_text(key.read_text() + leaf.read_text() + self.certificate.read_text())
        scratch.replace(target)
        return target


def serial_of(pem):
    return _openssl("x509", "-noout", "-serial", "-in", pem).strip()


def served_serial(port, ca):
    """The serial number of the certificate that a new connection to 127.0.0.1:port is shown."""
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(ca)], input="",
                           capture_output=True, text=True, timeout=30).stdout
    return _openssl("x509", "-noout", "-serial", stdin=shown).strip()
