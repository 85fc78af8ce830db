extension CommandTable {
  /// A completer for zsh's `_arguments`, to be put into a directory of `fpath` as `_PROGRAM`.
  func zshCompletion() -> String {
    let function = "_\(program)"
    var script = """
      #compdef \(program)
      # zsh completion for \(program); made by: \(program) completion zsh
      \(function)_zones() {
        local -a zones
        zones=(${(f)"$(_call_program zones \(program) ${opt_args[--root]:+--root} ${opt_args[--root]} list -q 2>/dev/null)"})
        _describe zone zones
      }
      \(function)_zone_paths() {
        local -a zones
        zones=(${(f)"$(_call_program zones \(program) list -q 2>/dev/null)"})
        compadd -S : -- $zones
        _files
      }
      \(function)_verbs() {
        local -a verbs
        verbs=(

      """
    for verb in shownVerbs {
      for name in names(verb) { script += "    \(shellQuoted("\(name):\(escaped(verb.summary))"))\n" }
    }
    script += """
        )
        _describe verb verbs
      }
      \(function)() {
        local curcontext="$curcontext" state line
        local -A opt_args
        _arguments -C -S \\

      """
    for option in options(inSet: globalSet) { script += specs(option, indent: "    ") }
    script += """
          '1:verb:\(function)_verbs' \\
          '*::argument:->rest'
        [[ $state == rest ]] || return
        curcontext="${curcontext%:*}-$line[1]:"
        case $line[1] in

      """
    for verb in ordinaryVerbs {
      script += "    \(names(verb).joined(separator: "|")))\n      _arguments -S"
      for option in allOptions(of: verb) { script += " \\\n" + specs(option, indent: "        ", continued: false) }
      for (index, operand) in verb.operands.enumerated() {
        let place = operand.isCommand ? "*:" : operand.takesMany ? "*" : "\(index + 1)"
        let action = operand.isCommand ? "_normal" : action(operand.hint, function)
        let optional = operand.count == .optional && !operand.isCommand ? ":" : ""
        script += " \\\n        \(shellQuoted("\(place)\(optional):\(operand.name):\(action)"))"
      }
      script += " ;;\n"
    }
    script += """
          *) _files ;;
        esac
      }
      \(function) "$@"

      """
    return script
  }

  private func specs(_ option: Option, indent: String, continued: Bool = true) -> String {
    let many = option.repeats ? "*" : ""
    let value = option.takesValue ? ":\(escaped(option.metavar)):\(action(option.hint, "_\(program)"))" : ""
    var lines = [
      "\(indent)\(shellQuoted("\(many)--\(option.name)\(option.takesValue ? "=" : "")[\(escaped(option.help))]\(value)"))"
    ]
    if !option.letter.isEmpty {
      lines.append(
        "\(indent)\(shellQuoted("\(many)-\(option.letter)\(option.takesValue ? "+" : "")[\(escaped(option.help))]\(value)"))"
      )
    }
    return lines.joined(separator: " \\\n") + (continued ? " \\\n" : "")
  }

  private func action(_ hint: Hint, _ function: String) -> String {
    switch hint {
    case .none: " "
    case .zone: "\(function)_zones"
    case .file: "_files"
    case .directory: "_files -/"
    case .signal: "(\(CommandTable.signals))"
    case .verb: "\(function)_verbs"
    case .command: "_command_names -e"
    case .zonePath: "\(function)_zone_paths"
    case .words(let words): "(\(escaped(words)))"
    }
  }

  /// Brackets and colons have a meaning inside a specification.
  private func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      if character == ":" || character == "[" || character == "]" || character == "\\" { result += "\\" }
      result.append(character)
    }
    return result
  }
}
