/// A disk that a BIOS boots by GRUB: a partition table of one partition (MBR), GRUB before it, ext4 in it. Pure: what is
/// written where.
struct BootDisk: Equatable {
  /// In bytes; a whole number of MiB.
  let size: Int64
  /// Of the file system.
  let uuid: String
  /// By which who boots tells disks apart.
  let signature: UInt32

  /// Where the partition begins: what is before it is GRUB's.
  static let start: Int64 = 1 << 20
  private static let sector: Int64 = 512
  /// A partition table's number of sectors has 32 bits.
  static let most: Int64 = (1 << 32) * sector / (1 << 20) * (1 << 20)

  /// What is written at offset 0.
  /// - Parameters:
  ///   - boot: GRUB's boot.img, which loads sector 1.
  ///   - core: GRUB's core.img, whose first sector loads those behind it.
  /// - Returns: nil where they are none, or have no room before the partition.
  func head(boot: [UInt8], core: [UInt8]) -> [UInt8]? {
    let room = Int(Self.start - Self.sector)
    guard boot.count == 512, boot[510] == 0x55, boot[511] == 0xaa, core.count > 1024, core.count <= room else {
      return nil
    }
    var head = Array(boot[..<440])
    // What GRUB's own installer does for disks: the number of the drive is the BIOS's word.
    if head[0x66] == 0xeb { head.replaceSubrange(0x66...0x67, with: [0x90, 0x90]) }
    head += Self.bytes(signature) + [0, 0]
    // Active, Linux; by sectors alone, since no disk of today has cylinders.
    head += [0x80, 0x20, 0x21, 0x00, 0x83, 0xfe, 0xff, 0xff]
    head += Self.bytes(UInt32(Self.start / Self.sector)) + Self.bytes(UInt32((size - Self.start) / Self.sector))
    head += [UInt8](repeating: 0, count: 48) + [0x55, 0xaa]
    return head + core
  }

  private static func bytes(_ number: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
  }

  /// mke2fs(8), for the file that is the disk. What is left out an older GRUB (2.06) cannot read.
  func makeFileSystem(of tree: String, on disk: String) -> [String] {
    [
      "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-L", "root", "-U", uuid, "-O",
      "^metadata_csum_seed,^orphan_file", "-E",
      "offset=\(Self.start),lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0", "-d", tree, disk,
      "\((size - Self.start) / 1024)k",
    ]
  }

  // MARK: what is done in the tree

  /// Read by GRUB's core: where the rest of it is.
  var earlyConfiguration: String { "search --no-floppy --fs-uuid --set=root \(uuid)\nset prefix=($root)/boot/grub\n" }

  var configuration: String {
    let linux = "linux /vmlinuz root=UUID=\(uuid) ro console=tty0 console=ttyS0,115200n8"
    return """
      set timeout=1
      set default=0
      if serial --unit=0 --speed=115200; then
        terminal_input console serial
        terminal_output console serial
      fi
      menuentry 'Debian' {
        \(linux)
        initrd /initrd.img
      }
      menuentry 'Debian (rescue)' {
        \(linux) systemd.unit=rescue.target
        initrd /initrd.img
      }

      """
  }

  static let modules =
    "biosdisk part_msdos part_gpt ext2 linux normal configfile search search_fs_uuid serial terminal minicmd echo test ls cat true reboot halt sleep boot"
  private static let options =
    "-y -qq -o APT::Install-Recommends=false -o APT::Install-Suggests=false -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-unsafe-io"
  /// Where GRUB is unpacked in the zone: nothing of it stays.
  static let scratch = "/var/tmp/zones-boot"

  private func packages(_ kernel: String) -> String {
    "\(kernel) initramfs-tools zstd udev kmod e2fsprogs dbus systemd-sysv systemd-resolved"
  }

  /// In the zone, with a network: brings what is to be installed.
  func fetching(kernel: String) -> String {
    """
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    command -v apt-get >/dev/null || { echo "it has no apt-get: it is no Debian machine's" >&2; exit 1; }
    rm -rf \(Self.scratch); mkdir -p \(Self.scratch); cd \(Self.scratch)
    apt-get \(Self.options) update
    apt-get \(Self.options) download grub-common grub-pc-bin libdevmapper1.02.1
    apt-get \(Self.options) --download-only install \(packages(kernel))
    """
  }

  /// In the zone, without one, so that its resolv.conf is its own: makes a machine of it.
  func installing(kernel: String, hostname: String) -> String {
    let units = MachinePlan.masked.sorted().joined(separator: " ")
    return """
      export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
      cd \(Self.scratch); for deb in *.deb; do dpkg-deb -x "$deb" .; done; rm -f *.deb
      cat >early.cfg <<'END'
      \(earlyConfiguration)END
      LD_LIBRARY_PATH=$(echo $PWD/usr/lib/*-linux-gnu $PWD/lib/*-linux-gnu | tr ' ' :) \\
        ./usr/bin/grub-mkimage -O i386-pc -d usr/lib/grub/i386-pc -p /boot/grub -c early.cfg -o core.img \(Self.modules)
      cp usr/lib/grub/i386-pc/boot.img boot.img
      # What a machine that became a zone had masked.
      for unit in \(units); do
        [ "$(readlink /etc/systemd/system/$unit)" != /dev/null ] || rm /etc/systemd/system/$unit
      done
      touch /etc/fstab; sed -i 's/^[^#]/#&/' /etc/fstab
      echo 'UUID=\(uuid) / ext4 errors=remount-ro 0 1' >>/etc/fstab
      # By a UUID that is not there yet the initramfs would not know that it is ext4, and not check it.
      mkdir -p /etc/initramfs-tools/conf.d /etc/systemd/network /boot/grub
      echo FSTYPE=ext4 >/etc/initramfs-tools/conf.d/root-type
      rm -f /etc/hostname; echo \(hostname) >/etc/hostname
      grep -qw localhost /etc/hosts 2>/dev/null || {
        rm -f /etc/hosts
        printf '127.0.0.1\\tlocalhost\\n127.0.1.1\\t\(hostname)\\n::1\\tlocalhost ip6-localhost ip6-loopback\\n' >/etc/hosts
      }
      # Its own with the first boot (machine-id(5)).
      rm -f /etc/machine-id; : >/etc/machine-id
      [ ! -d /var/lib/dbus ] || ln -sfn /etc/machine-id /var/lib/dbus/machine-id
      printf '[Match]\\nType=ether\\nKind=!*\\n\\n[Network]\\nDHCP=yes\\n' >/etc/systemd/network/80-dhcp.network
      [ ! -e /usr/sbin/policy-rc.d ] || mv /usr/sbin/policy-rc.d policy-rc.d
      printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
      apt-get \(Self.options) --no-download install \(packages(kernel)) </dev/null
      rm -f /usr/sbin/policy-rc.d; [ ! -e policy-rc.d ] || mv policy-rc.d /usr/sbin/policy-rc.d
      apt-get -qq clean; find /var/lib/apt/lists -type f -delete
      systemctl -q enable systemd-networkd.service systemd-resolved.service
      rm -f /etc/resolv.conf; ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
      cat >/boot/grub/grub.cfg <<'END'
      \(configuration)END
      [ -e /vmlinuz ] && [ -e /initrd.img ] || { echo "no kernel was installed" >&2; exit 1; }
      """
  }
}
