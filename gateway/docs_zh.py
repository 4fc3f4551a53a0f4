"""The Chinese of the generated references: rooms, table headings and configuration keys.

Only `gateway/docs.py` reads this. A key or a room that is missing here is a fault there, so a new key arrives in both
languages or not at all.
"""

from __future__ import annotations

from typing import Final

MAP_HEADER_ZH: Final = ["| 模块 | 用途（摘自源码文档） |", "|---|---|"]
TABLE_HEADER_ZH: Final = ["| 配置项 | 默认值 | 取值 | 说明 |", "|---|---|---|---|"]
HEADER_ZH: Final = [
    "# Dutyline configuration. Every key stands here at its default; keep only what you change.",
    "# Dutyline 配置文件。此处列出全部配置项及其默认值，只需保留要修改的条目。",
    "# The environment wins over this file: [http] listen is DUTYLINE_HTTP_LISTEN.",
    "# 环境变量优先于本文件：[http] 中的 listen 对应 DUTYLINE_HTTP_LISTEN。",
    "# Generated from gateway/config.py by `python -m gateway.docs config`.",
]

ROOMS_ZH: Final = {
    "": "主程序：命令、配置、组装与公共约定",
    "core": "业务内核：只做判断，不读写、不看时钟",
    "services": "业务过程：来电、记录、录音等完整经过",
    "asterisk": "通向 Asterisk 的门：获取、配置、启动、监视",
    "radio": "通向电台的门",
    "audio": "通向声音的门：录音文件与语音提示",
    "store": "通向数据库的门：表、事务与查询",
    "demo": "演示城市：真实话机按剧本通话",
    "web": "通向使用者的门：接口与网页控制台",
}

KEYS_ZH: Final = {
    "data_dir": "数据目录，程序写入的一切都在其下",
    "http.listen": "控制台与接口的监听地址和端口",
    "sip.listen": "SIP 监听地址和端口（UDP 与 TCP）",
    "sip.rtp_ports": "话音使用的 UDP 端口范围，写作“起始-结束”",
    "sip.realm": "话机口令所属的认证域；一经修改，全部口令失效",
    "database.url": "sqlite:///路径，或 postgresql://用户@主机/库名；{data_dir} 代表数据目录",
    "asterisk.mode": "embedded：由本系统获取、启动并看护；external：使用您已在运行的 Asterisk",
    "asterisk.cache_dir": "内置引擎的存放目录，本机各实例共用",
    "asterisk.config_dir": "外部模式：运行中的 Asterisk 的配置目录",
    "asterisk.ari_url": "外部模式：例如 http://127.0.0.1:8088；内置模式首次启动时自动选定",
    "asterisk.ari_user": "ARI 账号，唯一具有写权限的账号",
    "asterisk.ari_secret_file": "外部模式：存放 ARI 口令的文件，权限 0600",
    "asterisk.agi_listen": "FastAGI 监听地址；端口 0 表示首次启动时自动选定并保持不变",
    "asterisk.hep_listen": "SIP 原始报文采集地址；端口 0 含义同上",
    "asterisk.node": "本节点名称，是每个通话编号的组成部分，全市不得重复",
    "inbound.ring_timeout_s": "未单独设置的值班电话振铃时长（秒）",
    "inbound.message_max_s": "无人接听时留言的最长时间（秒）",
    "inbound.announce_recording": "振铃前告知来电人通话将被录音",
    "recording.failure_policy": "无法录音时：answer-and-announce 照常接通并告知双方；refuse 播放说明后拒绝",
    "recording.stalled_after_s": "录音文件停止增长超过此时长（秒）即告警",
    "recording.min_free_mb": "磁盘剩余空间低于此值（MB）即告警",
    "rollcall.ring_timeout_s": "点名时被叫单位电话的振铃时长（秒）",
    "prompts.command": "改用其他语音合成程序：命令中须含 {text_file} 和 {wav_file}；留空则用 espeak-ng",
    "prompts.voice": "espeak-ng 的发音人",
    "prompts.speed_wpm": "espeak-ng 语速（词/分钟）",
}
