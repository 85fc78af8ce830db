internal import CLinuxNS

/// The program's own memory (heap.c). Where there is none left it says so in a line and ends.
public enum Heap {
  /// The exit status then; it is 1 until something else is said.
  public static func setStatusWhenShort(_ status: CInt) { zns_heap_status_when_short(status) }
}
