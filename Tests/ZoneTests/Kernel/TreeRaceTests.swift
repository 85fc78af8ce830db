import Foundation
import Glibc
import LinuxNS
import Synchronization
import Testing

/// A tree that somebody changes while it is removed. No zone is needed for that, nor root.
@Suite(.serialized, .ends(within: 2)) struct TreeRaceTests {
  /// Runs `change` over and over on a thread of its own while `body` runs.
  private func racing(_ change: @escaping @Sendable () -> Void, _ body: () throws -> Void) rethrows {
    let goesOn = Mutex(true)
    let thread = Thread { while goesOn.withLock({ $0 }) { change() } }
    thread.start()
    defer {
      goesOn.withLock { $0 = false }
      _ = eventually { thread.isFinished }
    }
    try body()
  }

  @Test func aDirectoryThatTurnsIntoALinkLeadsNowhere() throws {
    try withTemporaryFolder { folder in
      let others = folder + "/others"
      let names = (0..<50).map { "f\($0)" }
      try FileSystem.makeDirectories(others)
      for name in names { _ = try OwnedFD.open("\(others)/\(name)", O_WRONLY | O_CREAT, mode: 0o600) }
      try FileSystem.call("chmod", others) { chmod(others, 0o751) }
      let tree = folder + "/tree"
      for _ in 0..<100 {
        try FileSystem.makeDirectories(tree + "/x")
        for name in names { _ = try OwnedFD.open("\(tree)/x/\(name)", O_WRONLY | O_CREAT, mode: 0o600) }
        symlink(others, tree + "/y")
        // `x` is a directory and a link to another by turns.
        try racing({
          rename(tree + "/x", tree + "/z")
          rename(tree + "/y", tree + "/x")
          rename(tree + "/z", tree + "/y")
        }) { try FileSystem.removeTree(tree) }
      }
      #expect(try FileSystem.list(others).count == names.count)
      #expect(try FileSystem.status(others).st_mode & 0o777 == 0o751)
    }
  }

  @Test func whoGoesOnWritingIsToldOfAndNothingHangs() throws {
    try withTemporaryFolder { folder in
      let tree = folder + "/tree"
      try FileSystem.makeDirectories(tree + "/a/b")
      let number = Mutex(0)
      racing({
        let name = number.withLock { number -> Int in
          number += 1
          return number
        }
        mkdir(tree, 0o700)
        mkdir(tree + "/a", 0o700)
        mkdir(tree + "/a/b", 0o700)
        mkdir("\(tree)/a/b/\(name)", 0o700)
      }) {
        for _ in 0..<10 {
          do throws(SyscallError) { try FileSystem.removeTree(tree) } catch {
            #expect(error.errno == ENOTEMPTY, "\(error)")
          }
        }
      }
      try FileSystem.removeTree(tree)
      #expect(!FileSystem.exists(tree))
    }
  }

  @Test func directoriesThatMoveAreAllRemoved() throws {
    try withTemporaryFolder { folder in
      let tree = folder + "/tree"
      for _ in 0..<100 {
        for number in 0..<20 { try FileSystem.makeDirectories("\(tree)/a/\(number)/x/y/z") }
        try FileSystem.makeDirectories(tree + "/b")
        try racing({
          for number in 0..<20 { rename("\(tree)/a/\(number)", "\(tree)/b/\(number)") }
          for number in 0..<20 { rename("\(tree)/b/\(number)", "\(tree)/a/\(number)") }
        }) { try FileSystem.removeTree(tree) }
        #expect(!FileSystem.exists(tree))
      }
    }
  }

  @Test func whatIsNotThereIsFineAndAFileIsATree() throws {
    try withTemporaryFolder { folder in
      try FileSystem.removeTree(folder + "/none/below")
      try FileSystem.removeTree(folder + "/none")
      _ = try OwnedFD.open(folder + "/file", O_WRONLY | O_CREAT, mode: 0o000)
      try FileSystem.removeTree(folder + "/file")
      #expect(!FileSystem.exists(folder + "/file"))
      mkfifo(folder + "/fifo", 0o600)
      try FileSystem.removeTree(folder + "/fifo")
      #expect(try FileSystem.list(folder).isEmpty)
      for path in [folder + "/..", folder + "/.", folder + "/"] {
        #expect(throws: SyscallError.self) { try FileSystem.removeTree(path) }
      }
    }
  }
}
