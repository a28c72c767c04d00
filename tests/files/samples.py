"""Small files of each kind, made here byte by byte, and hostile ones."""

import io
import zipfile
from pathlib import Path

XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"

TEA = "Green tea is brewed at eighty degrees."


def pdf(*pages: str) -> bytes:
    """A PDF with one line of text on each page."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids: list[int] = []
    for words in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({words}) Tj ET".encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(page.encode())
        kids.append(len(objects))
    listed = " ".join(f"{kid} 0 R" for kid in kids)
    objects[1] = f"<< /Type /Pages /Kids [{listed}] /Count {len(kids)} >>".encode()
    out, places = io.BytesIO(b""), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def docx(body: str, *, document: str = "word/document.xml") -> bytes:
    """A DOCX document with this body in WordprocessingML."""
    parts = {
        "[Content_Types].xml": f'{XML}<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": f'{XML}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        document: f'{XML}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def paragraph(words: str) -> str:
    return f"<w:p><w:r><w:t>{words}</w:t></w:r></w:p>"


HTML = f"""<html><head><title>On tea</title><style>p {{ color: red }}</style></head>
<body><h1>Tea</h1><script>alert("no")</script><p>{TEA} It is <b>never</b> boiled.</p></body></html>"""

KINDS: dict[str, bytes] = {
    "a.txt": TEA.encode(),
    "b.md": f"# Tea\n\n{TEA}\n".encode(),
    "c.py": f'TEA = "{TEA}"\n'.encode(),
    "d.json": f'{{"tea": "{TEA}"}}'.encode(),
    "e.csv": f"what,how\ntea,{TEA}\n".encode(),
    "f.html": HTML.encode(),
    "g.pdf": pdf(TEA, "Second page."),
    "h.docx": docx(paragraph("Tea") + paragraph(TEA)),
    "Makefile": f"tea:\n\techo {TEA}\n".encode(),
    "i.txt": TEA.encode("utf-16"),
    "j.txt": f"{TEA} Grüße aus Köln".encode("cp1252"),
}


def bomb() -> bytes:
    """A DOCX of a few hundred kilobytes that is 400 MB when unpacked."""
    out = io.BytesIO(docx(paragraph(TEA)))
    with (
        zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/media/zero.bin", "w", force_zip64=True) as part,
    ):
        for _ in range(400):
            part.write(bytes(1_000_000))
    return out.getvalue()


def laughs() -> bytes:
    """A DOCX whose XML says one thing a billion times."""
    out = io.BytesIO()
    entities = '<!ENTITY l0 "ha">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 11))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "word/document.xml",
            f'<?xml version="1.0"?><!DOCTYPE d [{entities}]><w:document xmlns:w="{WORD}"><w:body>'
            f"{paragraph('&l10;')}</w:body></w:document>",
        )
    return out.getvalue()


def outside(secret: Path) -> bytes:
    """A DOCX whose XML asks for a file of this machine."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "word/document.xml",
            f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
            f'<w:document xmlns:w="{WORD}"><w:body>{paragraph("[&x;]")}</w:body></w:document>',
        )
    return out.getvalue()
