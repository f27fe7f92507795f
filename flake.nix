# SPDX-License-Identifier: Apache-2.0
#
# nix build; nix run . -- --help; nix develop
{
  description = "gemmad, a voice assistant that listens while you speak";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      version = builtins.head (builtins.match ".*AC_INIT\\(\\[gemmad], \\[([^]]*)].*"
        (builtins.readFile ./configure.ac));
    in
    {
      packages = each (pkgs: {
        default = pkgs.stdenv.mkDerivation {
          pname = "gemmad";
          inherit version;
          src = self;
          nativeBuildInputs = with pkgs; [ autoconf-archive autoreconfHook pkg-config ];
          buildInputs = with pkgs; [
            alsa-lib curl glib jansson libedit libjpeg libpng libpulseaudio libsamplerate libsndfile libwebp ncurses
            openblas portaudio speechd speexdsp sqlite systemd
          ];
          configureFlags = [
            "--sysconfdir=/etc"
            "--with-systemduserunitdir=${placeholder "out"}/lib/systemd/user"
          ];
          enableParallelBuilding = true;
          meta = {
            description = "Voice assistant that listens while you speak";
            license = pkgs.lib.licenses.asl20;
            mainProgram = "gemmactl";
            platforms = systems;
          };
        };
      });
    };
}
