"""What the tiny test checkpoint is taught: a few questions with one answer each, written for this project."""

from __future__ import annotations

# Question and answer. Short, in both languages, so that a two-layer model knows them by heart in seconds.
LESSONS: tuple[tuple[str, str], ...] = (
    ("你是谁？", "我是文心小样，一个用来测试的微型模型。"),
    ("你好", "你好！很高兴见到你。"),
    ("一加一等于几？", "一加一等于二。"),
    ("中国的首都是哪里？", "中国的首都是北京。"),
    ("天空是什么颜色？", "晴天的天空是蓝色的。"),
    ("谢谢", "不客气，随时问我。"),
    ("你能做什么？", "我能回答很少的几个问题，用来证明服务是通的。"),
    ("Who are you?", "I am a tiny ERNIE, made for tests."),
    ("Hello", "Hello! Nice to meet you."),
    ("What is one plus one?", "One plus one is two."),
    ("What is the capital of China?", "The capital of China is Beijing."),
    ("Thank you", "You are welcome."),
)

# The nursery tale that contains itself. It is taught without an end, so a test has a request that only a limit,
# a stop string or a departed client can finish.
ENDLESS_QUESTION = "讲一个讲不完的故事"
ENDLESS_ANSWER = "从前有座山，山里有座庙，庙里有个老和尚，正在讲故事："
