internal import CLinuxNS

/// The number of the running kernel's last capability (prctl(2), PR_CAPBSET_READ: EINVAL for what it does not have).
/// - Returns: 0…63.
public func lastCapability() -> Int {
  var number: CInt = 40  // CAP_CHECKPOINT_RESTORE, the last one since Linux 5.9
  while number < 63, zns_has_bounding(number + 1) >= 0 { number += 1 }
  while number > 0, zns_has_bounding(number) < 0 { number -= 1 }
  return Int(number)
}
