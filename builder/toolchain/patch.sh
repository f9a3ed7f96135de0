# Copies a tool's source to out and applies patches to it, in order. Their paths
# begin with one folder, as git and diff write them.
# Arguments: the patches.
mkdir out
for file in * .[!.]*; do
  case $file in out | .retort-patches) ;; *) [ ! -e "$file" ] || cp -a "$file" out/ ;; esac
done
cd out
for file; do
  echo "patch $file"
  patch --force --no-backup-if-mismatch --fuzz=0 -p1 -i "../$file" || { echo "$file does not apply to this version: see the hunks above" >&2; exit 1; }
done
