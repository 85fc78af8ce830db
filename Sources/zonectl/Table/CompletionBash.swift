extension CommandTable {
  /// A function for bash's `complete -F`, which needs no bash-completion package.
  func bashCompletion() -> String {
    let function = "_\(program)"
    var script = """
      # bash completion for \(program); made by: \(program) completion bash
      \(function)_offer() {
        local IFS=$' \\t\\n'
        COMPREPLY=($(compgen "$@" -- "$cur"))
      }
      \(function)_zones() { \(program) "${root[@]}" list -q 2>/dev/null; }
      \(function)_value() {
        case "$1" in
          zone) \(function)_offer -W "$(\(function)_zones)" ;;
          file|command) compopt -o filenames; \(function)_offer -f ;;
          directory) compopt -o filenames; \(function)_offer -d ;;
          zonePath) compopt -o nospace; \(function)_offer -W "$(\(function)_zones | sed 's/$/:/')" -f ;;
          signal) \(function)_offer -W \(shellQuoted(CommandTable.signals)) ;;
          verb) \(function)_offer -W "$verbs" ;;
          words:*) \(function)_offer -W "${1#words:}" ;;
        esac
      }
      \(function)() {
        local cur=${COMP_WORDS[COMP_CWORD]} verb= word i operands=0 expects= options= hints= values= root=()
        local verbs=\(shellQuoted(shownVerbs.flatMap(names).joined(separator: " ")))
        COMPREPLY=()
        for ((i = 1; i < COMP_CWORD; i++)); do
          word=${COMP_WORDS[i]}
          # bash splits --option=value at the equals sign, and NAME:PATH at the colon.
          [[ $word == "=" ]] && continue
          if [[ -n $expects ]]; then
            [[ $expects == root ]] && root=(--root "$word")
            expects=
            continue
          fi
          case "$word" in
            --) [[ -z $verb ]] || expects= ;;
            -*)
              if [[ " $values " == *" ${word} "* ]]; then expects=${word#--}; fi
              if [[ -z $verb && $word == --root ]]; then expects=root; fi
              ;;
            *)
              if [[ -z $verb ]]; then
                verb=$word
                case "$verb" in

      """
    for verb in ordinaryVerbs {
      let all = allOptions(of: verb)
      let words = all.flatMap { ["--\($0.name)"] + ($0.letter.isEmpty ? [] : ["-\($0.letter)"]) }
      let valued = all.filter { $0.takesValue }.flatMap {
        ["--\($0.name)"] + ($0.letter.isEmpty ? [] : ["-\($0.letter)"])
      }
      let hints = verb.operands.map { word(for: $0.hint) + ($0.takesMany ? "*" : "") }
      script += """
                  \(names(verb).joined(separator: "|")))
                    options=\(shellQuoted(words.joined(separator: " ")))
                    values=\(shellQuoted(valued.joined(separator: " ")))
                    hints=(\(hints.map(shellQuoted).joined(separator: " "))) ;;

        """
    }
    script += """
                esac
              else
                [[ ${hints[operands]} == command ]] && { \(function)_value command; return; }
                [[ ${hints[operands]} == *"*" ]] || operands=$((operands + 1))
              fi
              ;;
          esac
        done
        [[ $cur == "=" ]] && cur=
        if [[ -n $expects ]]; then
          case "$verb $expects" in

      """
    // A verb's own first, where its option takes something else than others of that name do.
    for verb in ordinaryVerbs {
      for own in allOptions(of: verb) where own.takesValue {
        guard let other = options.first(where: { $0.name == own.name }), other.hint != own.hint else { continue }
        script += choice(of: own, names(verb), function)
      }
    }
    for option in options where option.takesValue && option.hint != .none {
      script += choice(of: option, ["*"], function)
    }
    let early = options(inSet: globalSet).map { "--\($0.name)" }.joined(separator: " ")
    script += """
          esac
          return
        fi
        if [[ -z $verb ]]; then
          if [[ $cur == -* ]]; then \(function)_offer -W \(shellQuoted(early)); else \(function)_offer -W "$verbs"; fi
        elif [[ $cur == -* ]]; then
          \(function)_offer -W "$options"
        elif [[ -z ${options} ]]; then
          compopt -o filenames; \(function)_offer -f
        else
          word=${hints[operands]}
          \(function)_value "${word%\\*}"
        fi
      }
      complete -F \(function) \(program)

      """
    return script
  }

  /// A line of the `case` that tells what an option's value may be.
  private func choice(of option: Option, _ verbs: [String], _ function: String) -> String {
    let names = [option.name] + (option.letter.isEmpty ? [] : ["-\(option.letter)"])
    let pattern = verbs.flatMap { verb in names.map { "\(verb)\\ \($0)" } }.joined(separator: "|")
    return "      \(pattern)) \(function)_value \(shellQuoted(word(for: option.hint))) ;;\n"
  }

  private func word(for hint: Hint) -> String {
    switch hint {
    case .none: ""
    case .zone: "zone"
    case .file: "file"
    case .directory: "directory"
    case .signal: "signal"
    case .verb: "verb"
    case .command: "command"
    case .zonePath: "zonePath"
    case .words(let words): "words:\(words)"
    }
  }
}
