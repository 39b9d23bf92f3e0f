"""Whom the sounds of a build come from: the list that BY and BY-SA licences ask for."""

from collections.abc import Iterable
from pathlib import Path

from diegetic.training import catalog, made
from diegetic.training.fetch import package_folder, read_fetched


def attribution(root: Path, packages: Iterable[str]) -> str:
    """Return the list of `packages`, their versions, licences and holders, as Markdown."""
    parts = [
        "# Attribution\n\nThe sounds were taken from these packages, unchanged but resampled.\n"
    ]
    for package in sorted(packages):
        if package == made.SYNTHESIS:
            parts.append(
                f"\n## {package}\n\nLicences: {made.LICENCES[package][0]}\n- made by diegetic's "
                "own rules (diegetic.training.synthesis), not recorded\n"
            )
            continue
        if package == made.PATCHES:
            parts.append(
                f"\n## {package}\n\nLicences: {made.LICENCES[package][0]}\n- played by diegetic on "
                f"single patches of {catalog.SOUNDFONT.package}, see there\n"
            )
            continue
        licences = sorted({clip.licence for clip in catalog.clips() if clip.package == package})
        if package == catalog.SOUNDFONT.package:
            licences = [catalog.SOUNDFONT.licence]
        fetched = read_fetched(root, package)
        version = (fetched.version if fetched else "") or "version unknown"
        parts.append(f"\n## {package} ({version})\n\nLicences: {'; '.join(licences)}\n")
        parts.extend(f"- {name}\n" for name in _holders(package_folder(root, package)))
    return "".join(parts)


def _holders(folder: Path) -> list[str]:
    """Return the copyright holders that the package's own copyright file names."""
    file = folder / "copyright"
    if not file.is_file():
        return []
    names: list[str] = []
    open_field = False
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        open_field = line.startswith("Copyright:") or (open_field and line.startswith((" ", "\t")))
        name = line.removeprefix("Copyright:").strip()
        if open_field and name and name not in names:
            names.append(name)
    return names
