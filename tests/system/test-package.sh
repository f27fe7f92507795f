#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The Debian package asks for what configure asks for, `make deb` finds what tests/install-packages installs, and
# software centres understand the metadata.  `make deb` itself is too slow to be here.
set -u
cd "${SOURCE_DIR:-.}" || exit 1
. tests/system/tap.sh

# A field of debian/control: the names in it, one a line.
depends=$(sed -n '/^Build-Depends:/,/^[A-Z]*[a-z-]*[A-Z].*:/p' debian/control |
        sed -n 's/^ \([a-z0-9.+-]*\).*/\1/p' | sed 's/^debhelper-compat$/debhelper/')
needed=$(sed -n 's/^GEMMAD_NEED(.*, \[\([^]]*\)\])$/\1/p' configure.ac)

status=0
[ -n "$needed" ] || status=1
missing=$(for package in $needed; do
        printf '%s\n' "$depends" | grep -qx -- "$package" || echo "$package is not in Build-Depends"
done)
report 'the package is built with what configure needs' $status "$missing"

status=0
[ -n "$depends" ] || status=1
missing=$(for package in $depends; do
        sed 's/[" ]/\n/g' tests/install-packages | grep -qx -- "$package" || echo "$package is not installed by it"
done)
report 'tests/install-packages has what the package is built with' $status "$missing"

# An RPM names what pkg-config names; a PKGBUILD and a flake have names of their own for as many.
modules=$(sed -n 's/^GEMMAD_NEED(\[[A-Z]*\], \[\([^] ]*\).*/\1/p' configure.ac)
status=0
[ -n "$modules" ] || status=1
missing=$(for module in $modules; do
        grep -q "^BuildRequires: *pkgconfig($module)" packaging/gemmad.spec || echo "$module is not in gemmad.spec"
done)
report 'the RPM is built with what configure needs' $status "$missing"

version=$(sed -n 's/^AC_INIT(\[gemmad\], \[\(.*\)\])$/\1/p' configure.ac)
output=$(bash -n packaging/PKGBUILD 2>&1 && bash -c '. packaging/PKGBUILD
        [ "$pkgname" = gemmad ] && [ ${#depends[@]} -gt 10 ] && declare -f build package >/dev/null' 2>&1)
report 'the PKGBUILD is what makepkg reads' $? "$output"

# Without a network and without nixpkgs: in its place stands what the flake takes of it, whose names are its own.
evaluated='the flake is evaluated to a package of this version for both processors'
if command -v nix >/dev/null; then
        work=$(mktemp -d)
        mkdir "$work/gemmad" "$work/nixpkgs"
        cp flake.nix configure.ac "$work/gemmad/"
        cat >"$work/nixpkgs/flake.nix" <<'END'
{
  outputs = { self }:
    let
      names = builtins.filter builtins.isString (builtins.split "[^A-Za-z0-9-]+" (builtins.readFile ./names));
      packages = system: builtins.listToAttrs (map (name: { inherit name; value = { inherit name; }; }) names) // {
        lib.licenses.asl20 = "Apache-2.0";
        stdenv.mkDerivation = a: derivation {
          inherit system;
          inherit (a) src;
          name = "${a.pname}-${a.version}";
          builder = "/bin/sh";
          inputs = map (p: p.name) (a.nativeBuildInputs ++ a.buildInputs);
          flags = a.configureFlags;
        } // { inherit (a) meta; };
      };
    in
    {
      lib.genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
      legacyPackages = self.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] packages;
    };
}
END
        sed -n '/[bB]uildInputs = /,/];/p' flake.nix >"$work/nixpkgs/names"
        output=$(HOME=$work nix --extra-experimental-features 'nix-command flakes' --offline eval --raw \
                --store "$work/store" --no-write-lock-file --override-input nixpkgs "path:$work/nixpkgs" \
                "path:$work/gemmad#packages" --apply 'p: toString (map (system:
                        builtins.seq p.${system}.default.drvPath "${system} ${p.${system}.default.name}")
                        (builtins.attrNames p))' 2>&1)
        status=$?
        [ "$(echo "$output" | tail -n 1)" = "aarch64-linux gemmad-$version x86_64-linux gemmad-$version" ] || status=1
        [ $status -ne 0 ] || output=
        report "$evaluated" $status "$output"
        chmod -R u+w "$work"
        rm -rf "$work"
else
        skip "$evaluated" 'no nix'
fi

# The bill of materials of a release, of any file in the tarball's place.
if command -v python3 >/dev/null; then
        output=$(SOURCE_DATE_EPOCH=0 packaging/sbom 1.2 LICENSE | python3 -c '
import json, sys
bill = json.load(sys.stdin)
names = [p["name"] for p in bill["packages"]]
assert bill["spdxVersion"] == "SPDX-2.3" and names[0] == "gemmad" and "sqlite3" in names, names
assert bill["creationInfo"]["created"] == "1970-01-01T00:00:00Z"
assert len(bill["relationships"]) == len(names)' 2>&1)
        report 'the bill of materials is whole' $? "$output"
else
        skip 'the bill of materials is whole' 'no python3'
fi

metainfo=${BUILD_DIR:-.}/metadata/io.gemmad.Assistant.metainfo.xml
missing=$(grep -q "<release version=\"$version\" " "$metainfo" 2>&1 || echo "no release $version in $metainfo")
report 'the metadata has the version of configure.ac' $? "$missing"
if command -v appstreamcli >/dev/null; then
        output=$(appstreamcli validate --no-net "$metainfo" 2>&1)
        status=$?
        [ $status -eq 0 ] && output=
        report 'the metadata is what AppStream understands' $status "$output"
else
        skip 'the metadata is what AppStream understands' 'no appstreamcli'
fi

finish
