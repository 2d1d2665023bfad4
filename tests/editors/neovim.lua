-- Lets Neovim's own client use `skep lsp` on a project and writes down what
-- it saw. Arguments by the environment: SKEP_SEEN is the file to write.

local function must(what, condition)
  if not vim.wait(60000, condition, 20) then
    error("never came: " .. what)
  end
end

local function ask(method, line, character)
  local params = {
    textDocument = vim.lsp.util.make_text_document_params(),
    position = { line = line, character = character },
  }
  for _, response in pairs(vim.lsp.buf_request_sync(0, method, params, 10000) or {}) do
    return response.result
  end
end

local function findings()
  local seen = {}
  for _, finding in ipairs(vim.diagnostic.get()) do
    table.insert(seen, {
      file = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(finding.bufnr), ":p"),
      line = finding.lnum + 1,
      column = finding.col + 1,
      severity = finding.severity,
      code = finding.code or finding.user_data.lsp.code,
      source = finding.source,
    })
  end
  return seen
end

local ok, result = pcall(function()
  vim.cmd("filetype on")
  vim.cmd("luafile .nvim.lua")
  vim.cmd("edit src/count.bpf.c")
  local files = {}
  must("findings in four files", function()
    for _, finding in ipairs(findings()) do
      files[finding.file] = true
    end
    return vim.tbl_count(files) >= 4
  end)
  local seen = { findings = findings() }

  -- Line 9 is SEC("xdp"), counted from 0 it is 8.
  seen.hover = ask("textDocument/hover", 8, 6).contents.value
  seen.completion = #ask("textDocument/completion", 8, 5).items

  -- A fix of one finding, applied and saved, is one finding less.
  local before = #vim.diagnostic.get(0)
  vim.cmd([[silent %substitute/stats\.sen = 3/stats.seen = 3/]])
  vim.cmd("write")
  must("one finding less", function()
    return #vim.diagnostic.get(0) == before - 1
  end)
  return seen
end)
vim.fn.writefile({ vim.fn.json_encode(ok and result or { error = tostring(result) }) }, vim.env.SKEP_SEEN)
vim.cmd("qall!")
